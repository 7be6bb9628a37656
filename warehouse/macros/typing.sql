{#-
    Text in, typed columns out, once per entity. docs/formats.md says what each format takes. Times are UTC: one with an
    offset (20:00:00-05:00) is converted, one without is taken for UTC, one with a named zone is refused. A reading is a dict:

    name        the typed column
    from        the raw column (default: the same name)
    format      text, id, integer, bigint, double, percent, boolean, date, timestamp, month; and what the core models
                refuse beyond its limits: count (an integer, 0 to 10,000) and amount (a double, 0 to 1e9)
    required    a missing value rejects the row
    min, max    inclusive limits of a number, in place of those of its format; of a text the fewest and most characters
    future      a date or time may lie in the future (when a loan is due); otherwise one later than the day after its file
                was loaded rejects the row, since the newest time of all is taken for how far a lender's knowledge reaches
    suffix      text to cut off the end first (' months')
    values      {raw text: typed value}: any other text rejects the row; format says the type of the typed value
    missing     texts that mean "no value", besides the empty text

    How numbers are written is said by the keys of numbers.sql (decimal, thousands, currency, negative, sign, unsigned), how
    dates are by those of dates.sql (pattern, pivot, months, epoch). readings.sql refuses a declaration that is ambiguous.

    typed_rows and rejected_rows share the same CTEs, so that a row is either typed or explained, never both or neither.
    What is configured is quoted wherever it enters the SQL: a column may be called 90 days late, a value driver's.
-#}

{#-
    CTEs from raw text to `checked`: for each reading <name>_raw, the typed <name> and <name>_reason (null: it is fine).
    One step a CTE: written as one nested expression, planning the 30 columns of Lending Club took 90 s.
-#}
{% macro checked_rows(relation, readings) -%}
{%- for reading in readings -%} {{ require_reading(reading) }} {%- endfor -%}
texts as (
    select
        {%- for reading in readings %}
        raw.{{ adapter.quote(reading.get('from', reading.name)) }} as {{ step(reading, 'raw') }},
        {{ trimmed('raw.' ~ adapter.quote(reading.get('from', reading.name))) }} as {{ step(reading, 'trimmed') }},
        {%- endfor %}
        raw._file,
        raw._line,
        raw._loaded_at
    from {{ raw_rows(relation, readings) }} as raw
    where {{ is_newly_loaded('raw._loaded_at') }}
),

given as (
    select
        *
        {%- for reading in readings -%}
        ,
        case when {{ is_missing(reading) }} then null else {{ given_text(reading) }} end as {{ step(reading, 'text') }}
        {%- endfor %}
    from texts
),

formed as (
    select
        *
        {%- for reading in readings if 'values' not in reading -%}
        ,
        case when {{ is_well_formed(reading) }} then {{ step(reading, 'text') }} end as {{ step(reading, 'formed') }}
        {%- endfor %}
    from given
),

plain as (
    select
        *
        {%- for reading in readings if is_number(reading) or is_dated(reading) -%}
        ,
        {{ number_text(reading) if is_number(reading) else date_text(reading) }} as {{ step(reading, 'plain') }}
        {%- endfor %}
    from formed
),

numbers as (
    select
        *
        {%- for reading in readings if is_number(reading) -%}
        ,
        try_cast({{ step(reading, 'plain') }} as double) as {{ step(reading, 'cast') }}
        {%- endfor %}
    from plain
),

finite as (
    select
        *
        {%- for reading in readings if is_number(reading) -%}
        ,
        {{ finite_number(reading) }} as {{ step(reading, 'number') }}
        {%- endfor %}
    from numbers
),

typed as (
    select
        *
        {%- for reading in readings -%}
        ,
        {{ typed_value(reading) }} as {{ adapter.quote(reading.name) }}
        {%- endfor %}
    from finite
),

checked as (
    select
        *
        {%- for reading in readings -%}
        ,
        {{ reject_reason(reading) }} as {{ step(reading, 'reason') }}
        {%- endfor %}
        {{- computed_before() }}
    from typed
)
{%- endmacro %}

{#-
    A filter on `checked` comes after its steps: the column that computed_before adds and is_computed asks of. Spark moves
    a filter down to the raw rows and writes each step's expression into the next, of Lending Club's 30 columns for more
    than seven minutes; but not below a column that is another at each call. A CTE with such a column is also computed once
    where it is read twice.
-#}
{% macro computed_before() -%} {{ return(adapter.dispatch('computed_before', 'loanlake')()) }} {%- endmacro %}
{% macro default__computed_before() -%} {{ return('') }} {%- endmacro %}
{% macro spark__computed_before() -%} {{ return(',\n        monotonically_increasing_id() as _computed') }} {%- endmacro %}
{% macro is_computed() -%} {{ return(adapter.dispatch('is_computed', 'loanlake')()) }} {%- endmacro %}
{% macro default__is_computed() -%} {{ return('') }} {%- endmacro %}
{% macro spark__is_computed() -%} {{ return(' and _computed >= 0') }} {%- endmacro %}

{#- The raw table; while no file of its lender was loaded, and it does not exist, the same columns without a row. -#}
{% macro raw_rows(relation, readings) -%}
    {%- if not execute or relation.is_cte or load_relation(relation) is not none -%}
        {{ relation }}
    {%- else -%}
    {%- set columns = [] -%}
    {%- for reading in readings -%} {%- do columns.append(reading.get('from', reading.name)) -%} {%- endfor -%}
    (
        select
            {%- for column in columns | unique %}
            cast(null as {{ dbt.type_string() }}) as {{ adapter.quote(column) }},
            {%- endfor %}
            cast(null as {{ dbt.type_string() }}) as _file,
            cast(null as bigint) as _line,
            cast(null as timestamp) as _loaded_at
        where false
    )
    {%- endif -%}
{%- endmacro %}

{#- The column of a step on the way from a reading's raw text to its value. -#}
{% macro step(reading, name) -%} {{ return(adapter.quote(reading.name ~ '_' ~ name)) }} {%- endmacro %}

{% macro is_missing(reading) -%}
    {%- set texts = [''] + (reading.missing | default([]) | map('string') | map('lower') | list) -%}
    {%- if reading.format != 'text' and 'values' not in reading -%} {%- set texts = texts + null_words() -%} {%- endif -%}
    lower({{ step(reading, 'trimmed') }}) in (
        {%- for text in texts | unique -%} {{ text_literal(text) }}{{ ', ' if not loop.last }} {%- endfor -%}
    )
{%- endmacro %}

{#- The text to be read: without the suffix, and in one form where it is compared as text. -#}
{% macro given_text(reading) -%}
    {%- set text = without_suffix(step(reading, 'trimmed'), reading.suffix | default('') | trim) -%}
    {%- if reading.format == 'id' and 'values' not in reading -%} {{ id_text(text) }}
    {%- elif reading.format == 'text' or 'values' in reading -%} {{ composed(text) }}
    {%- elif is_dated(reading) -%} {{ pattern_text(reading, text) }}
    {%- else -%} {{ text }}
    {%- endif -%}
{%- endmacro %}

{#- Only an end can be a suffix. -#}
{% macro without_suffix(text, suffix) -%}
    {%- if not suffix -%} {{ return(text) }} {%- endif -%}
    case
        when right({{ text }}, {{ suffix | length }}) = {{ text_literal(suffix) }}
            then {{ trimmed('substr(' ~ text ~ ', 1, length(' ~ text ~ ') - ' ~ suffix | length ~ ')') }}
        else {{ text }}
    end
{%- endmacro %}

{% macro is_well_formed(reading) -%}
    {%- set text = step(reading, 'text') -%}
    {{ matches(text, grammar_of(reading)) }}
    {%- if reading.format == 'id' %}
            and length({{ text }}) <= {{ most_characters('id') }} and not {{ matches(text, rounded_number()) }}
    {%- elif reading.format == 'text' %}
            and length({{ text }}) between {{ reading.get('min', 1) }} and {{ reading.get('max', most_characters('text')) }}
    {%- endif -%}
{%- endmacro %}

{#- The typed value; null where the text is missing or cannot be read. -#}
{% macro typed_value(reading) -%}
    {%- set text, type = step(reading, 'formed'), sql_type(reading.format) -%}
    {%- if 'values' in reading -%}
    cast(
        case {{ step(reading, 'text') }}
            {%- for given, meant in reading['values'].items() %} when {{ text_literal(given) }} then {{ sql_literal(meant) }}{% endfor %} end
        as {{ type }}
    )
    {%- elif reading.format in ('text', 'id') -%} {{ text }}
    {%- elif is_number(reading) -%} {{ number_value(reading) }}
    {%- elif reading.format == 'boolean' -%} lower(substr({{ text }}, 1, 2)) in ('tr', 't', 'ye', 'y', 'on', '1', '1.')
    {%- elif is_dated(reading) -%} {{ date_value(reading) }}
    {%- endif -%}
{%- endmacro %}

{#- What a text of each format must be. -#}
{% macro rule_of(reading) -%}
    {%- if is_number(reading) -%} {{ return(number_rule(reading)) }} {%- endif -%}
    {%- if is_dated(reading) -%} {{ return(date_rule(reading)) }} {%- endif -%}
    {%- set least, most = reading.get('min', 1), reading.get('max', most_characters('text')) -%}
    {{ return({
        'text': 'a text of ' ~ least ~ ' to ' ~ most ~ ' characters, none of them a control character or invisible',
        'id': 'an id of 1 to ' ~ most_characters('id') ~ ' characters, none of them a control character or invisible,'
            ~ ' and no rounded number such as 1.2E+15',
        'boolean': 'true or false, also written as yes or no, on or off, 1 or 0',
    }[reading.format]) }}
{%- endmacro %}

{% macro is_dated(reading) -%}
    {{ return('values' not in reading and reading.format in ('date', 'timestamp', 'month')) }}
{%- endmacro %}

{#- Why this column rejects its row; null where it does not. -#}
{% macro reject_reason(reading) -%}
    {%- set limits = {'count': {'min': 0, 'max': 10000}, 'amount': {'min': 0, 'max': 1000000000}}.get(reading.format, {}) -%}
    {%- set min, max = reading.get('min', limits.get('min')), reading.get('max', limits.get('max')) -%}
    {%- set value, scale = adapter.quote(reading.name), 100 if reading.format == 'percent' else 1 -%}
    case
        when {{ step(reading, 'text') }} is null
            then {% if reading.required %}'required, but missing'{% else %}cast(null as {{ dbt.type_string() }}){% endif %}
        {%- if 'values' in reading %}
        when {{ value }} is null then {{ text_literal('must be one of: ' ~ reading['values'] | join(', ')) }}
        {%- else %}
        when {{ step(reading, 'formed') }} is null or {{ value }} is null then {{ text_literal('must be ' ~ rule_of(reading)) }}
        {%- endif %}
        {%- if is_dated(reading) %}
        {{ misdated(reading) }}
        {%- endif %}
        {%- if reading.format not in ('text', 'id') %}
        {%- if min is not none %}
        when {{ value }} < {{ min }} then 'must be at least {{ min * scale }}'
        {%- endif %}
        {%- if max is not none %}
        when {{ value }} > {{ max }} then 'must be at most {{ max * scale }}'
        {%- endif %}
        {%- endif %}
    end
{%- endmacro %}

{#- A mistyped year is a date all the same: 0024-01-01, 2924-01-01. -#}
{% macro misdated(reading) -%}
    {%- set value, type = adapter.quote(reading.name), sql_type(reading.format) -%}
    {%- set last, described = ("cast('2199-12-31' as " ~ type ~ ")", '2199-12-31') if reading.future
        else ('cast(_loaded_at + interval 1 day as ' ~ type ~ ')', 'the day after its file was loaded') -%}
    when {{ value }} < cast('1900-01-01' as {{ type }}) or {{ value }} > {{ last }}
        then 'must be between 1900-01-01 and {{ described }}'
{%- endmacro %}

{% macro first_reason(readings) -%}
coalesce({% for reading in readings %}{{ step(reading, 'reason') }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{#- Format → the type of its values. -#}
{% macro sql_types() -%}
    {{ return({
        'text': dbt.type_string(), 'id': dbt.type_string(), 'integer': 'integer', 'count': 'integer', 'bigint': 'bigint',
        'double': 'double', 'amount': 'double', 'percent': 'double', 'boolean': 'boolean', 'date': 'date', 'month': 'date',
        'timestamp': 'timestamp',
    }) }}
{%- endmacro %}

{% macro sql_type(format) -%} {{ return(sql_types().get(format, format)) }} {%- endmacro %}

{% macro sql_literal(value) -%}
    {%- if value is boolean -%} {{ 'true' if value else 'false' }}
    {%- elif value is number -%} {{ value }}
    {%- else -%} {{ text_literal(value) }}
    {%- endif -%}
{%- endmacro %}
