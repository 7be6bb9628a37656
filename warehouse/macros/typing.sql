{#-
    Text in, typed columns out, once per entity. Times are UTC: one with an offset (20:00:00-05:00) is converted, one without
    is taken for UTC. A reading is a dict:

    name        the typed column
    from        the raw column (default: the same name)
    format      text, integer, bigint, double, percent, boolean, date, timestamp, month (Dec-2011); and what the core models
                refuse beyond its limits: count (an integer, 0 to 10,000) and amount (a double, 0 to 1e9)
    required    a missing value rejects the row
    min, max    inclusive limits of a number, in place of those of its format
    future      a date or time may lie in the future (when a loan is due); otherwise one later than the day after its file
                was loaded rejects the row, since the newest time of all is taken for how far a lender's knowledge reaches
    suffix      text to cut off first (' months')
    values      {raw text: typed value}: any other text rejects the row; format says the type of the typed value
    missing     texts that mean "no value", besides the empty text

    typed_rows and rejected_rows share the same CTEs, so that a row is either typed or explained, never both or neither.
-#}

{#-
    CTEs from raw text to `checked`: for each reading <name>_raw, the typed <name> and <name>_reason (null: it is fine).
    One step a CTE: written as one nested expression, planning the 30 columns of Lending Club took 90 s.
-#}
{% macro checked_rows(relation, readings) -%}
texts as (
    select
        {%- for reading in readings %}
        raw.{{ reading.get('from', reading.name) }} as {{ reading.name }}_raw,
        {{ trimmed_text(reading) }} as {{ reading.name }}_trimmed,
        {%- endfor %}
        raw._file,
        raw._line,
        raw._loaded_at
    from {{ relation }} as raw
    where {{ is_newly_loaded('raw._loaded_at') }}
),

given as (
    select
        *
        {%- for reading in readings -%}
        ,
        case when {{ is_missing(reading) }} then null else {{ reading.name }}_trimmed end as {{ reading.name }}_text
        {%- endfor %}
    from texts
),

numbers as (
    select
        *
        {%- for reading in readings if is_number(reading) -%}
        ,
        try_cast({{ reading.name }}_text as double) as {{ reading.name }}_number
        {%- endfor %}
    from given
),

typed as (
    select
        *
        {%- for reading in readings -%}
        ,
        {{ typed_value(reading) }} as {{ reading.name }}
        {%- endfor %}
    from numbers
),

checked as (
    select
        *
        {%- for reading in readings -%}
        ,
        {{ reject_reason(reading) }} as {{ reading.name }}_reason
        {%- endfor %}
    from typed
)
{%- endmacro %}

{#- One row per key: the good row that was loaded last. -#}
{% macro typed_rows(relation, readings, key) -%}
with {{ checked_rows(relation, readings) }},

newest_first as (
    select
        {%- for reading in readings %}
        {{ reading.name }},
        {%- endfor %}
        _file,
        _line,
        _loaded_at,
        row_number() over (
            partition by {{ key | join(', ') }}
            order by _loaded_at desc, _file desc, _line desc
        ) as version
    from checked
    where {{ first_reason(readings) }} is null
)

select
    {%- for reading in readings %}
    {{ reading.name }},
    {%- endfor %}
    _file,
    _line,
    _loaded_at
from newest_first
where version = 1
{%- endmacro %}

{#- One row per value that rejects its row, and per row whose key a later line of the same file repeats. -#}
{% macro rejected_rows(source_name, entity, readings, key) -%}
with {{ checked_rows(source('raw', source_name ~ '_' ~ entity), readings) }},

positions as (
    {%- for reading in readings %}
    select {{ loop.index }} as position, '{{ reading.get('from', reading.name) }}' as column_name
    {{- ' union all' if not loop.last }}
    {%- endfor %}
),

values_rejected as (
    select
        checked._file,
        checked._line,
        checked._loaded_at,
        positions.column_name,
        case positions.position
            {%- for reading in readings %} when {{ loop.index }} then checked.{{ reading.name }}_raw{% endfor %}
        end as value,
        case positions.position
            {%- for reading in readings %} when {{ loop.index }} then checked.{{ reading.name }}_reason{% endfor %}
        end as reason
    from checked
    cross join positions
    where {{ first_reason(readings) }} is not null
),

repeats as (
    select
        _file,
        _line,
        _loaded_at,
        '{{ key | join(', ') }}' as column_name,
        {{ key | join("_raw || ', ' || ") }}_raw as value,
        'repeated on a later line of the file, which is used' as reason,
        row_number() over (partition by _loaded_at, _file, {{ key | join(', ') }} order by _line desc) as version
    from checked
    where {{ first_reason(readings) }} is null
)

select
    '{{ source_name }}' as source,
    '{{ entity }}' as entity,
    _file as file,
    _line as line,
    column_name,
    -- as lines that are no row are cut (csv_file.py)
    substr(value, 1, 2000) as value,
    reason,
    _loaded_at as loaded_at
from (
    select _file, _line, _loaded_at, column_name, value, reason from values_rejected where reason is not null
    union all
    select _file, _line, _loaded_at, column_name, value, reason from repeats where version > 1
) as rejects
{%- endmacro %}

{#- The raw text without blanks around it, and without what the format writes beside the value. -#}
{% macro trimmed_text(reading) -%}
    {%- set text = 'trim(raw.' ~ reading.get('from', reading.name) ~ ')' -%}
    {%- set beside = '%' if reading.format == 'percent' else reading.suffix | default('') | trim -%}
    {%- if beside -%} trim(replace({{ text }}, '{{ beside }}', '')) {%- else -%} {{ text }} {%- endif -%}
{%- endmacro %}

{% macro is_missing(reading) -%}
    {%- set texts = [''] + (reading.missing | default([]) | map('lower') | list) -%}
    {%- if reading.format != 'text' and 'values' not in reading -%}
        {%- set texts = texts + ['nan', 'na', 'n/a', 'null'] -%}
    {%- endif -%}
    lower({{ reading.name }}_trimmed) in ('{{ texts | join("', '") }}')
{%- endmacro %}

{% macro is_number(reading) -%}
    {{ return('values' not in reading and reading.format in ('integer', 'count', 'bigint', 'double', 'amount', 'percent')) }}
{%- endmacro %}

{#- The typed value; null where the text is missing or cannot be read. -#}
{% macro typed_value(reading) -%}
    {%- set text, number, type = reading.name ~ '_text', reading.name ~ '_number', sql_type(reading.format) -%}
    {%- if 'values' in reading -%}
    cast(
        case {{ text }} {%- for given, meant in reading['values'].items() %} when '{{ given }}' then {{ sql_literal(meant) }}{% endfor %} end
        as {{ type }}
    )
    {%- elif reading.format == 'text' -%} {{ text }}
    {%- elif reading.format in ('integer', 'count') -%}
    {#- through double: '36.0' is whole, and try_cast('2.5' as integer) rounds on one engine and cuts on another -#}
    case when floor({{ number }}) = {{ number }} then try_cast({{ number }} as integer) end
    {%- elif reading.format == 'bigint' -%}
    {#- digits alone are read as they are: from 2^53 on, double takes two ids for one -#}
    case
        when translate({{ text }}, '0123456789', '') in ('', '-', '+') then try_cast({{ text }} as bigint)
        when floor({{ number }}) = {{ number }} and abs({{ number }}) < 9007199254740992 then try_cast({{ number }} as bigint)
    end
    {%- elif reading.format in ('double', 'amount') -%}
    {#- 'inf' is a number to try_cast, and to nobody else -#}
    case when {{ number }} between -1e300 and 1e300 then {{ number }} end
    {%- elif reading.format == 'percent' -%}
    case when {{ number }} between -1e300 and 1e300 then {{ number }} / 100 end
    {%- elif reading.format == 'boolean' -%}
    case lower({{ text }}) when 'true' then true when 'false' then false when '1' then true when '0' then false end
    {%- elif reading.format == 'date' -%} try_cast({{ text }} as date)
    {%- elif reading.format == 'timestamp' -%} {{ utc_time(text) }}
    {%- elif reading.format == 'month' -%}
    {#- Dec-11 is no year 11 -#}
    case when length({{ text }}) = 8 then try_cast(
        substr({{ text }}, 5)
        || case substr({{ text }}, 1, 4)
            {%- for month in ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] %} when '{{ month }}-' then '-{{ '%02d' % loop.index }}-01'{% endfor %}
        end as date
    ) end
    {%- else -%}
    {{ exceptions.raise_compiler_error("reading " ~ reading.name ~ ": unknown format " ~ reading.format) }}
    {%- endif -%}
{%- endmacro %}

{#- Why this column rejects its row; null where it does not. -#}
{% macro reject_reason(reading) -%}
    {%- set kind = {
        'integer': 'a whole number', 'count': 'a whole number', 'bigint': 'a whole number', 'double': 'a number',
        'amount': 'a number', 'percent': 'a percentage', 'boolean': 'true or false', 'date': 'a date, YYYY-MM-DD',
        'timestamp': 'a time, YYYY-MM-DD HH:MM:SS', 'month': 'a month, such as Dec-2011', 'text': 'text',
    }[reading.format] -%}
    {%- set limits = {'count': {'min': 0, 'max': 10000}, 'amount': {'min': 0, 'max': 1000000000}}.get(reading.format, {}) -%}
    {%- set min, max = reading.get('min', limits.get('min')), reading.get('max', limits.get('max')) -%}
    {%- set scale = 100 if reading.format == 'percent' else 1 -%}
    case
        when {{ reading.name }}_text is null
            then {% if reading.required %}'required, but missing'{% else %}cast(null as {{ dbt.type_string() }}){% endif %}
        {%- if 'values' in reading %}
        when {{ reading.name }} is null then 'must be one of: {{ reading['values'] | join(', ') }}'
        {%- elif reading.format != 'text' %}
        when {{ reading.name }} is null then 'must be {{ kind }}'
        {%- endif %}
        {%- if 'values' not in reading and reading.format in ('date', 'timestamp', 'month') %}
        {{ misdated(reading) }}
        {%- endif %}
        {%- if min is not none %}
        when {{ reading.name }} < {{ min }} then 'must be at least {{ min * scale }}'
        {%- endif %}
        {%- if max is not none %}
        when {{ reading.name }} > {{ max }} then 'must be at most {{ max * scale }}'
        {%- endif %}
    end
{%- endmacro %}

{#- A mistyped year is a date all the same, to try_cast: 20224-01-01, 0024-01-01, infinity. -#}
{% macro misdated(reading) -%}
    {%- set type = sql_type(reading.format) -%}
    {%- set last, described = ("cast('2199-12-31' as " ~ type ~ ")", '2199-12-31') if reading.future
        else ('cast(_loaded_at + interval 1 day as ' ~ type ~ ')', 'the day after its file was loaded') -%}
    when {{ reading.name }} < cast('1900-01-01' as {{ type }}) or {{ reading.name }} > {{ last }}
        then 'must be between 1900-01-01 and {{ described }}'
{%- endmacro %}

{% macro first_reason(readings) -%}
coalesce({% for reading in readings %}{{ reading.name }}_reason{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{% macro sql_type(format) -%}
    {{ return({
        'text': dbt.type_string(), 'percent': 'double', 'amount': 'double', 'count': 'integer', 'month': 'date',
    }.get(format, format)) }}
{%- endmacro %}

{% macro sql_literal(value) -%}
    {%- if value is boolean -%} {{ 'true' if value else 'false' }}
    {%- elif value is number -%} {{ value }}
    {%- else -%} '{{ value }}'
    {%- endif -%}
{%- endmacro %}
