{#- Values outside [low, high]; a missing value is another test's matter. -#}
{% test within_range(model, column_name, low, high) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} < {{ low }} or {{ column_name }} > {{ high }}
{% endtest %}
