{#- The few date functions on which engines differ: dispatched, so that another engine adds a line and changes no model. -#}

{#- A date or timestamp this many calendar months later (earlier if negative), clipped to the month's last day. -#}
{% macro months_later(moment, months) -%} {{ adapter.dispatch('months_later', 'loanlake')(moment, months) }} {%- endmacro %}
{% macro default__months_later(moment, months) -%} {{ moment }} + to_months({{ months }}) {%- endmacro %}
{% macro spark__months_later(moment, months) -%} {{ moment }} + make_ym_interval(0, {{ months }}) {%- endmacro %}

{#- Month boundaries crossed from one date to a later one; a part of a month counts once its boundary is crossed. -#}
{% macro months_between(earlier, later) -%} {{ adapter.dispatch('months_between', 'loanlake')(earlier, later) }} {%- endmacro %}
{% macro default__months_between(earlier, later) -%} date_diff('month', {{ earlier }}, {{ later }}) {%- endmacro %}
{% macro spark__months_between(earlier, later) -%}
    ((year({{ later }}) - year({{ earlier }})) * 12 + month({{ later }}) - month({{ earlier }}))
{%- endmacro %}
