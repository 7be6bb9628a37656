{#- Rows whose later moment comes before the earlier one. -#}
{% test never_before(model, earlier, later) %}
select {{ earlier }}, {{ later }}
from {{ model }}
where {{ later }} < {{ earlier }}
{% endtest %}
