{#- Segments whose trailing default rate is a feature input: segment (a request column; all: the whole source) → input. -#}
{% macro cohort_segments() -%}
    {{ return({
        'all': 'source_default_rate',
        'purpose': 'purpose_default_rate',
        'region': 'region_default_rate',
        'term_months': 'term_default_rate',
        'lender_grade': 'grade_default_rate',
        'home_ownership': 'home_ownership_default_rate',
    }) }}
{%- endmacro %}

{#- How an application's segment is written as text: what the online lookup writes of the request's value. -#}
{% macro segment_value(segment, relation) -%}
    {%- if segment == 'all' -%} 'all' {%- else -%} cast({{ relation }}.{{ segment }} as {{ dbt.type_string() }}) {%- endif -%}
{%- endmacro %}

{#- Every segment that the source's applications name, at every as_of of `moments` (a relation of source, as_of and the segments' columns). -#}
{% macro cohort_points(moments) -%}
    {%- for segment in cohort_segments() %}
    select distinct
        moments.source,
        '{{ segment }}' as segment,
        {{ segment_value(segment, 'moments') }} as segment_value,
        moments.as_of
    from {{ moments }} as moments
    where {{ segment_value(segment, 'moments') }} is not null
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#-
    CTEs ending in cohort_rates: for every point, the outcomes known in the cohort_months before its as_of, and their
    smoothed default rate. `points`: a relation of source, segment, segment_value, as_of (the start of a day).

    Outcomes and the two ends of every point's window are laid on one time line per segment value; running totals at the
    two ends then differ by what lies between. One sort, no join of decisions with outcomes: 100 million decisions cost
    no more than their distinct days.
-#}
{% macro cohort_rates(points) -%}
outcomes as (
    select
        applications.source,
        {%- for segment in cohort_segments() if segment != 'all' %}
        applications.{{ segment }},
        {%- endfor %}
        outcomes.is_default,
        outcomes.known_at
    from {{ ref('int_outcomes') }} as outcomes
    inner join {{ ref('int_applications') }} as applications on applications.application_id = outcomes.application_id
),

events as (
    {%- for segment in cohort_segments() %}
    select
        outcomes.source,
        '{{ segment }}' as segment,
        {{ segment_value(segment, 'outcomes') }} as segment_value,
        cast(date_trunc('day', outcomes.known_at) as timestamp) as moment_at,
        count(*) as n,
        count(case when outcomes.is_default then 1 end) as n_defaults,
        max(outcomes.known_at) as latest_known_at
    from outcomes
    where {{ segment_value(segment, 'outcomes') }} is not null
    group by 1, 2, 3, 4
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

window_ends as (
    select source, segment, segment_value, as_of as moment_at from {{ points }}
    union
    select source, segment, segment_value, {{ months_later('as_of', -var('cohort_months')) }} as moment_at from {{ points }}
),

time_line as (
    select source, segment, segment_value, moment_at, 1 as is_event, n, n_defaults, latest_known_at from events
    union all
    select source, segment, segment_value, moment_at, 0 as is_event, 0 as n, 0 as n_defaults, cast(null as timestamp) as latest_known_at
    from window_ends
),

-- at a window's end: what was known strictly before it, for the end sorts before an event of the same moment
running as (
    select
        source,
        segment,
        segment_value,
        moment_at,
        is_event,
        cast(sum(n) over earlier as bigint) as n,
        cast(sum(n_defaults) over earlier as bigint) as n_defaults,
        max(latest_known_at) over earlier as latest_known_at
    from time_line
    window earlier as (
        partition by source, segment, segment_value
        order by moment_at, is_event
        rows between unbounded preceding and current row
    )
),

totals as (
    select
        points.source,
        points.segment,
        points.segment_value,
        points.as_of,
        until_then.n - before_window.n as n_outcomes,
        until_then.n_defaults - before_window.n_defaults as n_defaults,
        until_then.latest_known_at
    from {{ points }} as points
    inner join running as until_then
        on until_then.source = points.source
        and until_then.segment = points.segment
        and until_then.segment_value = points.segment_value
        and until_then.moment_at = points.as_of
        and until_then.is_event = 0
    inner join running as before_window
        on before_window.source = points.source
        and before_window.segment = points.segment
        and before_window.segment_value = points.segment_value
        and before_window.moment_at = {{ months_later('points.as_of', -var('cohort_months')) }}
        and before_window.is_event = 0
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
                + {{ var('cohort_smoothing') }} * whole_source.n_defaults
                / nullif(cast(whole_source.n_outcomes as double), 0)
            ) / (totals.n_outcomes + {{ var('cohort_smoothing') }})
        end as default_rate,
        totals.latest_known_at
    from totals
    inner join totals as whole_source
        on whole_source.source = totals.source
        and whole_source.segment = 'all'
        and whole_source.as_of = totals.as_of
)
{%- endmacro %}
