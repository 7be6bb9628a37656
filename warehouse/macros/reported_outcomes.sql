{#-
    A lender's outcomes as POST /v1/outcomes reported them, for its staging model of outcomes: one row per application that
    the lender's files have, what was reported of it last. Known when it was received, not when it happened; but never before
    it happened, as a caller whose clock runs ahead may have it.

    `unless_in`: a relation of the outcomes that the lender's files give; what they say of an application counts instead.
-#}
{% macro reported_outcomes(lender, unless_in=none) -%}
    select
        application_id,
        is_default,
        outcome_at,
        greatest(known_at, outcome_at) as known_at,
        loss_amount
    from (
        select
            *,
            row_number() over (partition by application_id order by known_at desc, outcome_id) as reports_back
        from {{ source('serving', 'reported_outcomes') }}
        where source = '{{ lender }}'
    ) as reports
    where
        reports_back = 1
        and application_id in (select application_id from {{ ref('stg_' ~ lender ~ '__applications') }})
        {%- if unless_in %}
        and application_id not in (select application_id from {{ unless_in }})
        {%- endif %}
{%- endmacro %}
