-- One row per lender, entity, month and figure of its rows: how many there are, what is missing, what is twice, which
-- values there are, how late they came. A row counts in the month in which it became known.
{%- set entities = profiled_entities() %}
with
{%- for entity, rule in entities.items() %}
{{ entity }} as (
    select
        source,
        {{ month_of('known_at') }} as month,
        count(*) as n_rows,
        {% if rule.same is none -%}
        cast(null as bigint) as n_distinct,
        {%- else -%}
        count(distinct hash({{ rule.same | join(', ') }})) as n_distinct,
        {%- endif %}
        {%- for column in profiled_columns(entity) %}
        count({{ column }}) as n_{{ loop.index }},
        {%- endfor %}
        avg({{ seconds_between(rule.event, 'known_at') }} / 86400.0) as mean_delay,
        stddev({{ seconds_between(rule.event, 'known_at') }} / 86400.0) / sqrt(count(*)) as standard_error
    from {{ ref('int_' ~ entity) }}
    where {{ in_built_months('known_at') }}{{ ' and superseded_at is null' if entity == 'statements' }}
    group by source, {{ month_of('known_at') }}
),
{% endfor %}
figures as (
    {%- for entity, rule in entities.items() %}
    select
        source,
        '{{ entity }}' as entity,
        month,
        'volume' as figure,
        '(rows)' as column_name,
        n_rows,
        n_rows as n,
        cast(n_rows as double) as value,
        cast(null as double) as standard_error
    from {{ entity }}
    union all
    select
        source,
        '{{ entity }}' as entity,
        month,
        'delay' as figure,
        '(rows)' as column_name,
        n_rows,
        n_rows as n,
        mean_delay as value,
        standard_error
    from {{ entity }}
    union all
    {%- if rule.same is not none %}
    select
        source,
        '{{ entity }}' as entity,
        month,
        'duplicates' as figure,
        '(rows)' as column_name,
        n_rows,
        n_rows - n_distinct as n,
        cast(n_rows - n_distinct as double) / n_rows as value,
        cast(null as double) as standard_error
    from {{ entity }}
    union all
    {%- endif %}
    {%- for column in profiled_columns(entity) %}
    select
        source,
        '{{ entity }}' as entity,
        month,
        'missing' as figure,
        '{{ column }}' as column_name,
        n_rows,
        n_rows - n_{{ loop.index }} as n,
        cast(n_rows - n_{{ loop.index }} as double) / n_rows as value,
        cast(null as double) as standard_error
    from {{ entity }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

valued as (
    {%- for entity in entities if profiled_categories(entity) %}
    {%- set rows = loop %}
    {%- for column in profiled_categories(entity) %}
    {{ 'union all' if not (loop.first and rows.first) }}
    select
        source,
        '{{ entity }}' as entity,
        {{ month_of('known_at') }} as month,
        '{{ column }}' as column_name,
        {{ column }} as category,
        count(*) as n
    from {{ ref('int_' ~ entity) }}
    where {{ column }} is not null and {{ in_built_months('known_at') }}
    group by source, {{ month_of('known_at') }}, {{ column }}
    {%- endfor %}
    {%- endfor %}
),

-- a column of free text has a value for each row: its rare ones are one
ranked as (
    select
        *,
        row_number() over (
            partition by source, entity, month, column_name order by n desc, category asc
        ) as place
    from valued
),

named as (
    select
        source,
        entity,
        month,
        column_name,
        n,
        case when place <= {{ var('data_checks').most_categories }} then category else '(others)' end as category
    from ranked
),

categories as (
    select
        named.source,
        named.entity,
        named.month,
        named.column_name,
        named.category,
        figures.n_rows,
        cast(sum(named.n) as bigint) as n
    from named
    inner join figures
        on figures.source = named.source
        and figures.entity = named.entity
        and figures.month = named.month
        and figures.figure = 'volume'
    group by named.source, named.entity, named.month, named.column_name, named.category, figures.n_rows
)

select
    source,
    entity,
    month,
    figure,
    column_name,
    cast(null as {{ dbt.type_string() }}) as category,
    n_rows,
    n,
    value,
    standard_error
from figures
union all
select
    source,
    entity,
    month,
    'category' as figure,
    column_name,
    category,
    n_rows,
    n,
    cast(n as double) / n_rows as value,
    cast(null as double) as standard_error
from categories
