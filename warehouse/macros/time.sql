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

{#- Seconds from one timestamp to a later one, as a double. -#}
{% macro seconds_between(earlier, later) -%} {{ adapter.dispatch('seconds_between', 'loanlake')(earlier, later) }} {%- endmacro %}
{% macro default__seconds_between(earlier, later) -%} (epoch({{ later }}) - epoch({{ earlier }})) {%- endmacro %}
{% macro spark__seconds_between(earlier, later) -%}
    {%- set ends = [] -%}
    {%- for moment in (earlier, later) -%} {%- do ends.append('unix_micros(cast(' ~ moment ~ ' as timestamp_ltz))') -%} {%- endfor -%}
    (cast({{ ends[1] }} - {{ ends[0] }} as double) / 1000000)
{%- endmacro %}

{#- The time in UTC of a text that has the grammar of a timestamp; without an offset it is UTC already, by day alone its first moment. -#}
{% macro utc_time(text) -%} {{ adapter.dispatch('utc_time', 'loanlake')(text) }} {%- endmacro %}
{#-
    By its parts: DuckDB's cast to timestamptz lends the zone that one row names to the rows after it, and reads a time
    without an offset in the session's zone. Digits beyond the microsecond are rounded, as the API's JSON reader does.
-#}
{% macro default__utc_time(text) -%}
    {%- set clock = "regexp_extract(substr(" ~ text ~ ", 12), '^[0-9:.]+')" -%}
    {%- set offset = "replace(regexp_extract(substr(" ~ text ~ ", 17), '[+-].*'), ':', '')" -%}
    try_cast(substr({{ text }}, 1, 10) || ' ' || coalesce(nullif(substr({{ clock }}, 1, 15), ''), '00:00') as timestamp)
    + to_microseconds(case when substr({{ clock }}, 16, 1) >= '5' then 1 else 0 end)
    - to_minutes(
        case when {{ offset }} = '' then 0 else
            cast(substr({{ offset }}, 1, 1) || '1' as integer)
            * (cast(substr({{ offset }}, 2, 2) as integer) * 60 + coalesce(try_cast(substr({{ offset }}, 4, 2) as integer), 0))
        end
    )
{%- endmacro %}
{#-
    Spark's cast reads each text by itself, and sessions stand at UTC. A cast to a time without a zone would ignore the
    offset that a text names. Digits beyond the microsecond are cut.
-#}
{% macro spark__utc_time(text) -%}
    {%- set digits = "regexp_extract(" ~ text ~ ", '[.][0-9]{6}([0-9])', 1)" -%}
    cast(try_cast({{ text }} as timestamp_ltz) as timestamp_ntz)
    + case when {{ digits }} >= '5' then 1 else 0 end * interval 1 microsecond
{%- endmacro %}

{#- A term or age in days as whole months, at least one: 14 days are 1, 90 days 3. -#}
{% macro months_of_days(days) -%} cast(greatest(1, round({{ days }} / 30.4375)) as integer) {%- endmacro %}

{#- Days late as months late: 29 days are 0, 30 days 1. -#}
{% macro months_late(days) -%} cast(floor({{ days }} / 30.0) as integer) {%- endmacro %}

{#- The date this many days after a day, given as YYYY-MM-DD. -#}
{% macro days_after(day, days) -%} {{ return(adapter.dispatch('days_after', 'loanlake')(day, days)) }} {%- endmacro %}
{% macro default__days_after(day, days) -%} cast('{{ day }}' as date) + {{ days }} {%- endmacro %}
{% macro spark__days_after(day, days) -%} date_add(cast('{{ day }}' as date), {{ days }}) {%- endmacro %}

{#- The time this many microseconds after the first moment of 1970. -#}
{% macro time_after_microseconds(number) -%} {{ return(adapter.dispatch('time_after_microseconds', 'loanlake')(number)) }} {%- endmacro %}
{% macro default__time_after_microseconds(number) -%} make_timestamp({{ number }}) {%- endmacro %}
{% macro spark__time_after_microseconds(number) -%} cast(timestamp_micros({{ number }}) as timestamp_ntz) {%- endmacro %}

{#- Today, by the machine's clock in UTC. -#}
{% macro today() -%} {{ adapter.dispatch('today', 'loanlake')() }} {%- endmacro %}
{#- now() has a zone, of which the session's would make the date -#}
{% macro default__today() -%} cast(make_timestamp(epoch_us(now())) as date) {%- endmacro %}
{% macro spark__today() -%} current_date() {%- endmacro %}
