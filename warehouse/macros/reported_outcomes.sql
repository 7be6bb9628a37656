{#-
    A lender's outcomes as POST /v1/outcomes reported them, for its staging model of outcomes: one row per report on an
    application that the lender's files have. Several reports are versions of one outcome. Known when it was received, not
    when it happened; but never before it happened, as a caller whose clock runs ahead may have it.

    `unless_in`: a relation of the outcomes that the lender's files give; what they say of an application counts instead.

    A view that reads them must not be `by_load`: a report has no load, and may come into the lake after a newer file.
-#}
{% macro reported_outcomes(lender, unless_in=none) -%}
    select
        application_id,
        is_default,
        outcome_at,
        -- two callers may report of one application in the same microsecond: the two are versions all the same
        greatest(known_at, outcome_at) + (
            row_number() over (partition by application_id, known_at order by outcome_id) - 1
        ) * interval 1 microsecond as known_at,
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
