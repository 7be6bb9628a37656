{#- Rows whose later moment comes before the earlier one, whole: their ids say which. -#}
{% test never_before(model, earlier, later) %}
select *
from {{ model }}
where {{ later }} < {{ earlier }}
{% endtest %}
