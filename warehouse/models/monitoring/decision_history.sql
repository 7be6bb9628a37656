-- One row per online decision: the history and cohort inputs known before it, by all that the lake has learnt since.
-- The text is that of the features: the same macros, over the moments of the decisions.
with moments as (
    select
        predictions.decision_id,
        predictions.borrower_id,
        predictions.source,
        predictions.inputs,
        -- where the lender's files date the application itself earlier, it would count among its own history
        least(predictions.decided_at, applications.decided_at) as decided_at
    from {{ source('serving', 'predictions') }} as predictions
    left join {{ ref('int_applications') }} as applications on applications.application_id = predictions.application_id
    where predictions.route = 'online'
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
        cast(date_trunc('day', decided_at) as timestamp) as as_of
    from moments
),

points as (
    select
        decision_id as point_id,
        borrower_id,
        decided_at as as_of
    from decisions
),

{{ borrower_history('points') }},

cohort_points as (
    {{ cohort_points('decisions') }}
),

{{ cohort_rates('cohort_points') }}

select
    decisions.decision_id,
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
