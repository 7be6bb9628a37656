{#- Applications of which a contributing row was known at the decision or later: any row fails the build. -#}
{% test known_before_the_decision(model) %}
select application_id, decided_at, latest_known_at
from {{ model }}
where latest_known_at >= decided_at
{% endtest %}
