{#-
    One row per good line that says something else than the line loaded before it of the same key; _replaced_at: when the
    next such line was loaded, null for the newest. Of the lines of one file with one key (and one known_at, where that is
    read) the last is used.
-#}
{% macro typed_rows(relation, readings, key) -%}
{%- set columns = readings | map(attribute='name') | map('string') | list -%}
{%- set names = [] -%}
{%- for column in columns -%} {%- do names.append(adapter.quote(column)) -%} {%- endfor -%}
with {{ checked_rows(relation, readings) }},

good as (
    select
        {{ names | join(',\n        ') }},
        _file,
        _line,
        _loaded_at
    from checked
    where {{ first_reason(readings) }} is null{{ is_computed() }}
),

lines as (
    select * from good
    {{ stored_lines() }}
    union all
    select
        {{ names | join(',\n        ') }},
        _file,
        _line,
        _loaded_at
    from {{ this }} as stored
    where
        _loaded_at < getvariable('loaded_from')
        and exists (select 1 from good where {{ equal_quoted(key, 'good', 'stored') }})
    {{ stored_lines(ends=true) }}
),

restated_keys as (
    select {{ quoted_key(key) }}
    from lines
    group by {{ quoted_key(key) }}
    having count(*) > 1
),

restated as (
    select
        lines.*,
        row_number() over (
            partition by _loaded_at, _file, {{ quoted_key(repeat_key(readings, key)) }} order by _line desc
        ) as lines_back
    from lines
    where exists (select 1 from restated_keys where {{ equal_quoted(key, 'restated_keys', 'lines') }})
),

compared as (
    select
        *,
        {{ row_of(names) }} as stated,
        lag({{ row_of(names) }}) over (partition by {{ quoted_key(key) }} order by {{ load_order(readings) }}) as stated_before
    from restated
    where lines_back = 1
),

followed as (
    select
        *,
        lead(_loaded_at) over (partition by {{ quoted_key(key) }} order by {{ load_order(readings) }}) as _replaced_at
    from compared
    where stated is distinct from stated_before
)

select
    {{ names | join(',\n    ') }},
    _file,
    _line,
    _loaded_at,
    cast(null as timestamp) as _replaced_at
from lines
where not exists (select 1 from restated_keys where {{ equal_quoted(key, 'restated_keys', 'lines') }})
union all
select
    {{ names | join(',\n    ') }},
    _file,
    _line,
    _loaded_at,
    _replaced_at
from followed
{%- endmacro %}

{#- What two lines of one file must share for the later one to be used alone: one file may give several versions of a row. -#}
{% macro repeat_key(readings, key) -%}
    {{ return(key + (['known_at'] if 'known_at' in readings | map(attribute='name') and 'known_at' not in key else [])) }}
{%- endmacro %}

{#- The order in which lines count: files as they were loaded, the lines of one by when they were known, if it says so. -#}
{% macro load_order(readings) -%}
    _loaded_at, _file
    {%- if 'known_at' in readings | map(attribute='name') %}, case when known_at is null then 1 else 0 end, known_at{% endif -%}
    , _line
{%- endmacro %}

{% macro equal_quoted(key, one, other) -%}
    {%- set quoted = [] -%}
    {%- for column in key -%} {%- do quoted.append(adapter.quote(column)) -%} {%- endfor -%}
    {{ equal_in(quoted, one, other) }}
{%- endmacro %}

{#- One row per value that rejects its row, and per line whose key (and known_at) a later line of the same file repeats. -#}
{% macro rejected_rows(source_name, entity, readings, key) -%}
with {{ checked_rows(source('raw', source_name ~ '_' ~ entity), readings) }},

positions as (
    {%- for reading in readings %}
    select {{ loop.index }} as position, {{ text_literal(reading.get('from', reading.name)) }} as column_name
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
            {%- for reading in readings %} when {{ loop.index }} then checked.{{ step(reading, 'raw') }}{% endfor %}
        end as value,
        case positions.position
            {%- for reading in readings %} when {{ loop.index }} then checked.{{ step(reading, 'reason') }}{% endfor %}
        end as reason
    from checked
    cross join positions
    where {{ first_reason(readings) }} is not null{{ is_computed() }}
),

repeats as (
    select
        _file,
        _line,
        _loaded_at,
        {{ text_literal(key | join(', ')) }} as column_name,
        {{ key_texts(readings, key) | join(" || ', ' || ") }} as value,
        'repeated on a later line of the file, which is used' as reason,
        row_number() over (
            partition by _loaded_at, _file, {{ quoted_key(repeat_key(readings, key)) }} order by _line desc
        ) as version
    from checked
    where {{ first_reason(readings) }} is null{{ is_computed() }}
)

select
    {{ text_literal(source_name) }} as source,
    {{ text_literal(entity) }} as entity,
    _file as file,
    _line as line,
    column_name,
    -- as lines that are not rows are cut (table_file.py)
    substr(value, 1, 2000) as value,
    reason,
    _loaded_at as loaded_at
from (
    select _file, _line, _loaded_at, column_name, value, reason from values_rejected where reason is not null
    union all
    select _file, _line, _loaded_at, column_name, value, reason from repeats where version > 1
) as rejects
{%- endmacro %}

{% macro quoted_key(key) -%}
    {%- for column in key -%} {{ adapter.quote(column) }}{{ ', ' if not loop.last }} {%- endfor -%}
{%- endmacro %}

{#- What a rejected row shows of each key column: the text as received, or where the key is the place in a file, that. -#}
{% macro key_texts(readings, key) -%}
    {%- set texts, read = [], readings | map(attribute='name') | list -%}
    {%- for column in key -%}
        {%- do texts.append(
            adapter.quote(column ~ '_raw') if column in read
            else 'cast(' ~ adapter.quote(column) ~ ' as ' ~ dbt.type_string() ~ ')'
        ) -%}
    {%- endfor -%}
    {{ return(texts) }}
{%- endmacro %}
