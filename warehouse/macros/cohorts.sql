{#-
    Segments whose trailing default rate may be a feature input (a lender's file says which are): segment (a request column; all: the whole source) → input.
    Term, grade and home ownership were tried too: on Lending Club they cost .002 of AUC, purpose and region gain .002.
-#}
{% macro cohort_segments() -%}
    {{ return({
        'all': 'source_default_rate',
        'purpose': 'purpose_default_rate',
        'region': 'region_default_rate',
    }) }}
{%- endmacro %}

{#- How an application's segment is written as text: what the online lookup writes of the request's value. -#}
{% macro segment_value(segment, relation) -%}
    {%- if segment == 'all' -%} 'all' {%- else -%} cast({{ relation }}.{{ segment }} as {{ dbt.type_string() }}) {%- endif -%}
{%- endmacro %}

{#- Every segment that the source's applications name, at every as_of of `moments` (a relation of source, as_of, known_until and the segments' columns). -#}
{% macro cohort_points(moments) -%}
    {%- for segment in cohort_segments() %}
    select distinct
        moments.source,
        '{{ segment }}' as segment,
        {{ segment_value(segment, 'moments') }} as segment_value,
        moments.as_of,
        moments.known_until
    from {{ moments }} as moments
    inner join {{ ref('int_lenders') }} as lenders on lenders.source = moments.source
    where lenders.cohort_segments like '%,{{ segment }},%' and {{ segment_value(segment, 'moments') }} is not null
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#-
    CTEs ending in cohort_rates: for every point, the outcomes known in the cohort_months of its lender before its as_of,
    and their smoothed default rate. `points`: a relation of source, segment, segment_value, as_of (the start of a day), known_until.

    Outcomes and the two ends of every point's window are laid on one time line per segment value; running totals at the
    two ends differ by what lies between. One sort and no join of decisions with outcomes: 100 million decisions cost no
    more than their distinct days. (Joining each point with the totals at its two ends made DuckDB pair all ends of a
    segment first: 42 million rows, 35 s, for 20,000 applications.)

    A restated outcome counts from when its first version was known, with what its version known before the point says. Few
    outcomes are restated otherwise than in their amounts: what each correction changes is added to the points after it.
-#}
{% macro cohort_rates(points) -%}
outcome_versions as (
    select
        applications.source,
        {%- for segment in cohort_segments() if segment != 'all' %}
        applications.{{ segment }},
        {%- endfor %}
        outcomes.application_id,
        outcomes.known_at,
        outcomes.superseded_at,
        outcomes.loaded_at,
        case when {{ is_misdated('outcomes', 'applications') }} then 0 else 1 end as n,
        case
            when outcomes.is_default and {{ is_misdated('outcomes', 'applications') }} is not true then 1 else 0
        end as n_defaults
    from {{ ref('int_outcome_versions') }} as outcomes
    inner join {{ ref('int_applications') }} as applications on applications.application_id = outcomes.application_id
),

restated_outcomes as (
    select
        *,
        first_value(known_at) over versions as first_known_at,
        lag(n) over versions as n_before,
        lag(n_defaults) over versions as n_defaults_before,
        lead(known_at) over versions as next_known_at
    from outcome_versions
    where application_id in (
        select application_id from {{ ref('int_outcome_versions') }} as superseded where superseded_at is not null
    )
    window versions as (partition by application_id order by known_at, loaded_at)
),

corrections as (
    select
        *,
        known_at as corrected_at,
        n - n_before as n_more,
        n_defaults - n_defaults_before as n_defaults_more
    from restated_outcomes
    where n_before is not null and (n <> n_before or n_defaults <> n_defaults_before)
    union all
    -- withdrawn
    select
        *,
        superseded_at as corrected_at,
        -n as n_more,
        -n_defaults as n_defaults_more
    from restated_outcomes
    where next_known_at is null and superseded_at is not null and n <> 0
),

corrected as (
    {%- for segment in cohort_segments() %}
    select
        points.source,
        points.segment,
        points.segment_value,
        points.as_of,
        sum(corrections.n_more) as n_more,
        sum(corrections.n_defaults_more) as n_defaults_more,
        max(corrections.corrected_at) as latest_known_at
    from {{ points }} as points
    inner join {{ ref('int_lenders') }} as lenders on lenders.source = points.source
    inner join corrections
        on corrections.source = points.source
        and {{ segment_value(segment, 'corrections') }} = points.segment_value
        and corrections.corrected_at < points.known_until
        and corrections.first_known_at < points.as_of
        and cast(date_trunc('day', corrections.first_known_at) as timestamp)
        >= {{ months_later('points.as_of', '-lenders.cohort_months') }}
    where points.segment = '{{ segment }}'
    group by points.source, points.segment, points.segment_value, points.as_of
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

outcomes as (
    select source, {% for segment in cohort_segments() if segment != 'all' %}{{ segment }}, {% endfor %}known_at, n_defaults
    from outcome_versions
    where n = 1 and application_id not in (select application_id from restated_outcomes)
    union all
    select source, {% for segment in cohort_segments() if segment != 'all' %}{{ segment }}, {% endfor %}known_at, n_defaults
    from restated_outcomes
    where n = 1 and n_before is null
),

events as (
    {%- for segment in cohort_segments() %}
    select
        outcomes.source,
        '{{ segment }}' as segment,
        {{ segment_value(segment, 'outcomes') }} as segment_value,
        cast(date_trunc('day', outcomes.known_at) as timestamp) as moment_at,
        count(*) as n,
        sum(outcomes.n_defaults) as n_defaults,
        max(outcomes.known_at) as latest_known_at
    from outcomes
    where {{ segment_value(segment, 'outcomes') }} is not null
    group by 1, 2, 3, 4
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

window_ends as (
    select source, segment, segment_value, as_of, as_of as moment_at, 1 as sign from {{ points }}
    union all
    select
        points.source,
        points.segment,
        points.segment_value,
        points.as_of,
        {{ months_later('points.as_of', '-lenders.cohort_months') }} as moment_at,
        -1 as sign
    from {{ points }} as points
    inner join {{ ref('int_lenders') }} as lenders on lenders.source = points.source
),

-- at equal moments an end sorts before an outcome: what is known at the as_of itself is not known before it
time_line as (
    select source, segment, segment_value, as_of, moment_at, sign, 0 as sorts, 0 as n, 0 as n_defaults, cast(null as timestamp) as latest_known_at
    from window_ends
    union all
    select source, segment, segment_value, cast(null as timestamp) as as_of, moment_at, 0 as sign, 1 as sorts, n, n_defaults, latest_known_at
    from events
),

running as (
    select
        source,
        segment,
        segment_value,
        as_of,
        sign,
        sum(n) over earlier as n,
        sum(n_defaults) over earlier as n_defaults,
        max(latest_known_at) over earlier as latest_known_at
    from time_line
    window earlier as (
        partition by source, segment, segment_value
        order by moment_at, sorts
        rows between unbounded preceding and current row
    )
),

counted as (
    select
        source,
        segment,
        segment_value,
        as_of,
        cast(sum(sign * n) as bigint) as n_outcomes,
        cast(sum(sign * n_defaults) as bigint) as n_defaults,
        -- of those that count: an older one is none of this window's
        case when sum(sign * n) > 0 then max(latest_known_at) end as latest_known_at
    from running
    where sign <> 0
    group by source, segment, segment_value, as_of
),

totals as (
    select
        counted.source,
        counted.segment,
        counted.segment_value,
        counted.as_of,
        cast(counted.n_outcomes + coalesce(corrected.n_more, 0) as bigint) as n_outcomes,
        cast(counted.n_defaults + coalesce(corrected.n_defaults_more, 0) as bigint) as n_defaults,
        -- greatest ignores what is null
        greatest(counted.latest_known_at, corrected.latest_known_at) as latest_known_at
    from counted
    left join corrected
        on corrected.source = counted.source
        and corrected.segment = counted.segment
        and corrected.segment_value = counted.segment_value
        and corrected.as_of = counted.as_of
),

cohort_rates as (
    select
        totals.source,
        totals.segment,
        totals.segment_value,
        totals.as_of,
        totals.n_outcomes,
        totals.n_defaults,
        case
            when totals.segment = 'all' then whole_source.n_defaults / nullif(cast(whole_source.n_outcomes as double), 0)
            else (
                totals.n_defaults
                + lenders.cohort_smoothing * whole_source.n_defaults
                / nullif(cast(whole_source.n_outcomes as double), 0)
            ) / nullif(totals.n_outcomes + lenders.cohort_smoothing, 0)
        end as default_rate,
        totals.latest_known_at
    from totals
    inner join {{ ref('int_lenders') }} as lenders on lenders.source = totals.source
    inner join totals as whole_source
        on whole_source.source = totals.source
        and whole_source.segment = 'all'
        and whole_source.as_of = totals.as_of
)
{%- endmacro %}
