-- One row per value of the simulated lender's files that cannot be typed; its row is left out of staging.
{% for entity in ['applications', 'statements', 'outcomes', 'demographics', 'truth'] %}
select * from (
    {{ rejected_rows('simulated', entity, **simulated_file(entity)) }}
) as {{ entity }}
{{ 'union all' if not loop.last }}
{% endfor %}
