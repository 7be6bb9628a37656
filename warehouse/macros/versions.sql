{#-
    Versions of a row. A row has a key: a statement its borrower and day, an application and its outcome the application.
    Each line that says something else than the line loaded before it of the same key is a version, known from its known_at
    until superseded_at, when the next one was known. A line that restates another and gives no known_at, or that of a line
    loaded before it, is known from its load, since both cannot have been known at that time. A first line without known_at is known from its load
    too.

    Few keys are restated: only their lines are sorted. All other lines are one version each.
-#}

{#-
    The versions of an entity of every lender, in table order: the columns of its contract with source, then those of
    version_columns(). `key`: the columns that identify a row.
-#}
{% macro versions_of(entity, key) -%}
    {%- set columns = contract_of(entity).keys() | list -%}
    {%- set leading = 2 if columns[1].endswith('_id') else 1 -%}
    {{ versions(every_lender(entity), key, columns[:leading] + ['source'] + columns[leading:]) }}
{%- endmacro %}

{% macro version_columns() -%} {{ return(['superseded_at', 'loaded_at', 'is_known_by_load']) }} {%- endmacro %}

{#- `lines`: a select of `columns` (with source and known_at) and line_columns(): every line, or the newly loaded ones. -#}
{% macro versions(lines, key, columns) -%}
    {%- set values = columns | reject('in', key + ['source', 'known_at']) | list -%}
    {%- set by_load = 'order by loaded_at, case when known_at is null then 1 else 0 end, known_at' -%}
with lines as (
    select
        {{ columns | join(',\n        ') }},
        _loaded_at as loaded_at,
        _replaced_at as replaced_at,
        cast(null as boolean) as was_known_by_load
    from ({{ lines }}) as lines
),

all_lines as (
    select * from lines
    {{ stored_lines() }}
    union all
    select
        {{ columns | join(',\n        ') }},
        loaded_at,
        cast(null as timestamp) as replaced_at,
        is_known_by_load as was_known_by_load
    from {{ this }} as stored
    where
        list_contains(getvariable('loaded_lenders'), source)
        and loaded_at < getvariable('loaded_from')
        and exists (select 1 from lines where {{ equal_in(key, 'lines', 'stored') }})
    {{ stored_lines(ends=true) }}
),

restated_keys as (
    select {{ key | join(', ') }}
    from all_lines
    group by {{ key | join(', ') }}
    having count(*) > 1 or count(replaced_at) > 0
),

restated as (
    select all_lines.*
    from all_lines
    where exists (select 1 from restated_keys where {{ equal_in(key, 'restated_keys', 'all_lines') }})
),

-- a row of which the line that was loaded next says nothing more, since it has another key or makes no row, is withdrawn
said as (
    select
        *,
        false as is_withdrawn
    from restated
    union all
    select
        {%- for column in columns %}
        {{ column if column in key + ['source', 'known_at'] else 'null' }} as {{ column }},
        {%- endfor %}
        replaced_at as loaded_at,
        cast(null as timestamp) as replaced_at,
        cast(null as boolean) as was_known_by_load,
        true as is_withdrawn
    from restated
    where
        replaced_at is not null
        and not exists (
            select 1 from restated as later
            where {{ equal_in(key, 'later', 'restated') }} and later.loaded_at = restated.replaced_at
        )
),

compared as (
    select
        *,
        {{ row_of(['is_withdrawn'] + values) }} as stated,
        lag({{ row_of(['is_withdrawn'] + values) }}) over loads as stated_before,
        lag({{ row_of(['loaded_at', 'known_at']) }}) over loads as loaded_before
    from said
    window loads as (partition by {{ key | join(', ') }} {{ by_load }})
),

counted as (
    select
        *,
        count(case when stated is distinct from stated_before then 1 end) over (
            partition by {{ key | join(', ') }} {{ by_load }}
        ) as n_said
    from compared
),

-- Equal to the line loaded before it, a line of a row that says one thing only adds nothing. Of a row that was restated it
-- does, if it gives a time that no line gave before: other versions may lie between the two times.
timed as (
    select
        *,
        n_said > 1 and known_at is not null and loaded_at = min(
            case when n_said > 1 or stated is distinct from stated_before then loaded_at end
        ) over (partition by {{ key | join(', ') }}, known_at) as is_of_new_time
    from counted
),

told as (
    select
        {%- for column in columns if column != 'known_at' %}
        {{ column }},
        {%- endfor %}
        case when loaded_before is null then coalesce(known_at, loaded_at) else known_at end as known_at,
        loaded_at,
        was_known_by_load,
        is_withdrawn
    from timed
    where
        was_known_by_load is not null
        or stated is distinct from stated_before
        or is_of_new_time
        -- two rows of one load with one key and time are no versions: the tests of the model find them
        or {{ row_of(['loaded_at', 'known_at']) }} is not distinct from loaded_before
),

stamped as (
    select
        *,
        coalesce(
            was_known_by_load,
            known_at is null
            or min(case when was_known_by_load is not true then loaded_at end) over (
                partition by {{ key | join(', ') }}, known_at
            ) < loaded_at
        ) as is_known_by_load
    from told
),

placed as (
    select
        *,
        dense_rank() over (partition by {{ key | join(', ') }}, loaded_at, is_known_by_load {{ by_load }}) as place
    from stamped
),

known as (
    select
        {%- for column in columns if column != 'known_at' %}
        {{ column }},
        {%- endfor %}
        -- greatest ignores what is null; of several that one load says of a row, the last is the newest
        case
            when is_known_by_load and was_known_by_load is null
                then greatest(loaded_at, known_at) + (place - 1) * interval 1 microsecond
            else known_at
        end as known_at,
        loaded_at,
        is_known_by_load,
        is_withdrawn
    from placed
),

followed as (
    select
        *,
        lead(known_at) over (partition by {{ key | join(', ') }} order by known_at, loaded_at) as superseded_at
    from known
)

select
    {%- for column in columns %}
    {{ 'coalesce(known_at, loaded_at) as known_at' if column == 'known_at' else column }},
    {%- endfor %}
    cast(null as timestamp) as superseded_at,
    loaded_at,
    false as is_known_by_load
from all_lines
where not exists (select 1 from restated_keys where {{ equal_in(key, 'restated_keys', 'all_lines') }})
union all
select
    {{ columns | join(',\n    ') }},
    {{ version_columns() | join(',\n    ') }}
from followed
where not is_withdrawn
{%- endmacro %}

{#-
    Around the part of a model's text that only a build of newly loaded lines runs (keyed.sql): the stored versions of the
    same keys. A comment for all others, so that the text of a model is the same.
-#}
{% macro stored_lines(ends=false) -%} {{ return('stored */' if ends else '/* stored') }} {%- endmacro %}

{#- Several values as one, to be compared with others: null beside null is equal, and no text can make two rows one. -#}
{% macro row_of(columns) -%} {{ adapter.dispatch('row_of', 'loanlake')(columns) }} {%- endmacro %}
{% macro default__row_of(columns) -%} row({{ columns | join(', ') }}) {%- endmacro %}
{% macro spark__row_of(columns) -%} struct({{ columns | join(', ') }}) {%- endmacro %}

{#- Whether a version was the one known at a lender's clock. At its first moment too: a clock is the newest known_at. -#}
{% macro known_at_clock(rows, clock_at) -%}
    {{ rows }}.known_at <= {{ clock_at }} and {{ counts_until(rows) }} > {{ clock_at }}
{%- endmacro %}

{#-
    Of each application the version that was known when it was decided: the newest known by the decision that its first
    version gives, and without one the first. `columns`: those to select, of a relation of versions with the application.
-#}
{% macro as_decided(versions, columns) -%}
with restated_ids as (
    select distinct application_id
    from {{ versions }} as versions
    where superseded_at is not null
),

ordered as (
    select
        versions.*,
        first_value(decided_at) over (partition by application_id order by known_at, loaded_at) as first_decided_at,
        row_number() over (partition by application_id order by known_at, loaded_at) as place
    from {{ versions }} as versions
    where application_id in (select application_id from restated_ids)
),

latest_first as (
    select
        *,
        row_number() over (partition by application_id order by known_at desc, loaded_at desc) as versions_back
    from ordered
    where place = 1 or known_at <= first_decided_at
)

select
    {{ columns | join(',\n    ') }}
from {{ versions }} as versions
where application_id not in (select application_id from restated_ids)
union all
select
    {{ columns | join(',\n    ') }}
from latest_first
where versions_back = 1
{%- endmacro %}
