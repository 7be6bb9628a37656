-- One row per value of the simulated lender's files that cannot be typed; its row is left out of staging.
{% set keys = {
    'applications': ['application_id'],
    'statements': ['borrower_id', 'statement_on'],
    'outcomes': ['application_id'],
    'demographics': ['borrower_id'],
    'truth': ['application_id'],
} %}
{% for entity, key in keys.items() %}
select * from (
    {{ rejected_rows('simulated', entity, simulated_readings(entity), key=key) }}
) as {{ entity }}
{{ 'union all' if not loop.last }}
{% endfor %}
