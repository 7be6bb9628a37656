{#-
    A lender's outcomes as POST /v1/outcomes reported them, for its staging model of outcomes: one row per report on an
    application that the lender's files have. Several reports are versions of one outcome. Known when it was received, not
    when it happened; but never before it happened, as a caller whose clock runs ahead may have it.

    `unless_in`: a relation of the outcomes that the lender's files give; what they say of an application counts instead.
-#}
{% macro reported_outcomes(lender, unless_in=none) -%}
    select
        application_id,
        is_default,
        outcome_at,
        greatest(known_at, outcome_at) as known_at,
        loss_amount,
        known_at as _loaded_at,
        cast(null as timestamp) as _replaced_at
    from {{ source('serving', 'reported_outcomes') }}
    where
        source = '{{ lender }}'
        and application_id in (select application_id from {{ ref('stg_' ~ lender ~ '__applications') }})
        {%- if unless_in %}
        and application_id not in (select application_id from {{ unless_in }})
        {%- endif %}
{%- endmacro %}
