{#-
    A number cut to [low, high]; null stays null (least and greatest would drop it and return the limit).
    A ratio of a real file has no natural end: an income of 1 makes any loan 35,000 incomes.
-#}
{% macro within(expression, low, high) -%}
    case when {{ expression }} < {{ low }} then {{ low }} when {{ expression }} > {{ high }} then {{ high }} else {{ expression }} end
{%- endmacro %}
