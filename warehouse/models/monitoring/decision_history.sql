-- One row per decision that looked up its history when it was made, and per score of a challenger in shadow: the
-- history and cohort inputs known before it, by all that the lake has learnt since. The text is that of the features:
-- the same macros, over the moments of the decisions. All of them are here, unless a reader asks for the months that it
-- measures.
with scored as (
    {%- for table in ('predictions', 'shadow_predictions') %}
    select
        decision_id,
        application_id,
        borrower_id,
        source,
        inputs,
        decided_at
    from {{ source('serving', table) }}
    where route <> 'backfill' and {{ in_built_months('decided_at') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

moments as (
    select
        scored.decision_id,
        scored.borrower_id,
        scored.source,
        scored.inputs,
        -- where the lender's files date the application itself earlier, it would count among its own history
        least(scored.decided_at, applications.decided_at) as decided_at
    from scored
    left join {{ ref('int_applications') }} as applications on applications.application_id = scored.application_id
),

decisions as (
    select
        decision_id,
        borrower_id,
        source,
        decided_at,
        {%- for segment in cohort_segments() if segment != 'all' %}
        json_extract_string(inputs, '$.{{ segment }}') as {{ segment }},
        {%- endfor %}
        cast(date_trunc('day', decided_at) as timestamp) as as_of,
        cast(date_trunc('day', decided_at) as timestamp) as known_until
    from moments
),

points as (
    select
        decision_id as point_id,
        borrower_id,
        decided_at as as_of,
        decided_at as known_until
    from decisions
),

{{ borrower_history('points') }},

cohort_points as (
    {{ cohort_points('decisions') }}
),

{{ cohort_rates('cohort_points') }}

select
    decisions.decision_id,
    decisions.borrower_id,
    decisions.source,
    decisions.decided_at
    {%- for column in history_columns() -%}
    ,
    history.{{ column }}
    {%- endfor %}
    {%- for segment, column in cohort_segments().items() -%}
    ,
    cohort_{{ segment }}.default_rate as {{ column }}
    {%- endfor %}
from decisions
inner join history on history.point_id = decisions.decision_id
{%- for segment in cohort_segments() %}
left join cohort_rates as cohort_{{ segment }}
    on cohort_{{ segment }}.source = decisions.source
    and cohort_{{ segment }}.segment = '{{ segment }}'
    and cohort_{{ segment }}.segment_value = {{ segment_value(segment, 'decisions') }}
    and cohort_{{ segment }}.as_of = decisions.as_of
{%- endfor %}
