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

known_versions as (
    select
        days.source,
        days.as_of,
        lenders.cohort_months,
        applications.purpose,
        applications.region,
        applications.decided_at,
        outcomes.known_at,
        outcomes.superseded_at,
        outcomes.outcome_at,
        outcomes.is_default,
        min(outcomes.known_at) over (partition by days.as_of, outcomes.application_id) as first_known_at,
        row_number() over (
            partition by days.as_of, outcomes.application_id order by outcomes.known_at desc, outcomes.loaded_at desc
        ) as versions_back
    from days
    inner join {{ ref('int_lenders') }} as lenders on lenders.source = days.source
    inner join {{ ref('int_applications') }} as applications on applications.source = days.source
    inner join {{ ref('int_outcome_versions') }} as outcomes
        on outcomes.application_id = applications.application_id
        and outcomes.known_at < days.as_of
),

known_outcomes as (
    select *
    from known_versions
    where
        versions_back = 1
        and (superseded_at is null or superseded_at >= as_of)
        -- one dated before its own decision counts nowhere
        and known_at >= decided_at
        and outcome_at >= date_trunc('month', decided_at)
        -- a restated outcome belongs to the day on which its first version was known
        and first_known_at >= {{ months_later('as_of', '-cohort_months') }}
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
