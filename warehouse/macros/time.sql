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

{#- A text's time in UTC, null where it is none; without an offset it is UTC already. Sessions stand at UTC on every engine. -#}
{% macro utc_time(text) -%} {{ adapter.dispatch('utc_time', 'loanlake')(text) }} {%- endmacro %}
{#- as a timestamp at once, DuckDB would drop the offset -#}
{% macro default__utc_time(text) -%} cast(try_cast({{ text }} as timestamptz) as timestamp) {%- endmacro %}
{% macro spark__utc_time(text) -%} try_cast({{ text }} as timestamp) {%- endmacro %}
