{#-
    Cohorts counted a second time, by comparing each outcome with the day, for the last day of each of a lender's years.
    Any difference fails: an outcome known on the day or later would be one too many.
-#}
{{ config(meta={'dagster': {'ref': {'name': 'ftr_cohort_rates'}}}) }}
with days as (
    select
        source,
        year(as_of) as in_year,
        max(as_of) as as_of
    from {{ ref('ftr_cohort_rates') }}
    group by source, year(as_of)
),

rates as (
    select rates.*
    from {{ ref('ftr_cohort_rates') }} as rates
    inner join days on days.source = rates.source and days.as_of = rates.as_of
),

known_outcomes as (
    select
        days.source,
        days.as_of,
        applications.purpose,
        applications.region,
        outcomes.is_default
    from days
    inner join {{ ref('int_lenders') }} as lenders on lenders.source = days.source
    inner join {{ ref('int_applications') }} as applications on applications.source = days.source
    inner join {{ ref('int_outcomes') }} as outcomes on outcomes.application_id = applications.application_id
    where
        outcomes.known_at < days.as_of
        -- one dated before its own decision counts nowhere
        and outcomes.known_at >= applications.decided_at
        and outcomes.outcome_at >= date_trunc('month', applications.decided_at)
        and outcomes.known_at >= {{ months_later('days.as_of', '-lenders.cohort_months') }}
),

recounted as (
    {%- for segment in cohort_segments() %}
    select
        source,
        as_of,
        '{{ segment }}' as segment,
        {{ segment_value(segment, 'known_outcomes') }} as segment_value,
        count(*) as n_outcomes,
        count(case when is_default then 1 end) as n_defaults
    from known_outcomes
    group by source, as_of, {{ segment_value(segment, 'known_outcomes') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select
    rates.source,
    rates.segment,
    rates.segment_value,
    rates.as_of,
    rates.n_outcomes,
    recounted.n_outcomes as n_outcomes_recounted
from rates
left join recounted
    on recounted.source = rates.source
    and recounted.segment = rates.segment
    and recounted.segment_value = rates.segment_value
    and recounted.as_of = rates.as_of
where
    rates.n_outcomes <> coalesce(recounted.n_outcomes, 0)
    or rates.n_defaults <> coalesce(recounted.n_defaults, 0)
