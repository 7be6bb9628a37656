{#-
    A table whose rows are replaced by their key: only rows that differ are written, rows no longer made are deleted.
    Config:

    unique_key  the columns that identify a row

    A model, or a staging view that it reads, with `by_load: true` in its meta makes each row of the raw lines with that
    row's key alone (typed_rows does): of those, only keys with newly loaded lines are read. All other rows are compared.

    Meta `versions_of`: the columns that identify what a row is a version of, where a key has several rows. Newly loaded
    lines are then compared with the stored versions of their keys: the text between the marks of stored_lines() is run.
-#}
{% materialization keyed, adapter='duckdb' %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set build = plan_build(existing, sql) -%}

    {{ run_hooks(pre_hooks) }}
    {%- if build.full is none and not build.changed and not build.redefined -%}
        {%- set message = 'unchanged' -%}
    {%- elif build.full is none -%}
        {%- set changes = find_changed_rows(existing, sql, build) -%}
        {%- if changes.columns_differ -%} {%- do build.update({'full': 'the columns have changed'}) -%} {%- endif -%}
        {%- set message = changes.written ~ ' rows written, ' ~ changes.deleted ~ ' deleted' -%}
    {%- endif -%}

    {%- if build.full is not none -%}
        {%- set target = replace_table(existing, sql, build) -%}
    {%- else -%}
        {%- set target = existing -%}
        {%- if changes is defined and (changes.written or changes.deleted) -%} {%- do replace_rows(target, changes) -%} {%- endif -%}
        {%- if build.stale or build.redefined or build.redescribed -%}
            {%- do write_build(target, build) -%}
            {%- do adapter.commit() -%}
        {%- endif -%}
        {%- call noop_statement('main', message) -%} {{ sql }} {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}

    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{#- Fill two temporary tables: rows to write, and keys of rows to delete (of those to write, and of those no longer made). -#}
{% macro find_changed_rows(existing, sql, build) -%}
    {%- set key = config.require('unique_key') -%}
    {%- set key = [key] if key is string else key -%}
    {%- set rows, keys = this.identifier ~ '__rows', this.identifier ~ '__keys' -%}
    {%- set loads = newly_loaded(build) -%}

    {%- set made = sql.replace(stored_lines(), '').replace(stored_lines(ends=true), '') -%}

    {%- do run_query('set variable loaded_from = ' ~ loads.since) -%}
    {%- do run_query("set variable loaded_lenders = ['" ~ loads.lenders | join("', '") ~ "']") -%}
    {%- set columns = adapter.get_columns_in_relation(existing) -%}
    {%- set columns_made = get_column_schema_from_query(sql) -%}
    {%- if columns_made | map(attribute='name') | list != columns | map(attribute='name') | list
        or columns_made | map(attribute='dtype') | map('lower') | list != columns | map(attribute='dtype') | map('lower') | list -%}
        {%- do run_query('reset variable loaded_from') -%}
        {%- do run_query('reset variable loaded_lenders') -%}
        {{ return({'columns_differ': true, 'written': 0, 'deleted': 0}) }}
    {%- endif -%}
    {%- do run_query(
        'create or replace temporary table made as select * from (' ~ made ~ ') as made'
    ) -%}
    {%- do run_query('reset variable loaded_from') -%}
    {%- do run_query('reset variable loaded_lenders') -%}
    {%- do run_query(
        'create or replace temporary table ' ~ rows ~ ' as select * from made where not exists (select 1 from '
        ~ existing ~ ' as existing where ' ~ equal_in(columns | map(attribute='name'), 'existing', 'made') ~ ')'
    ) -%}
    {%- do run_query(
        'create or replace temporary table ' ~ keys ~ ' as select ' ~ key | join(', ') ~ ' from ' ~ rows
        ~ ' union all select ' ~ key | join(', ') ~ ' from ' ~ existing ~ ' as existing where ' ~ loads.may_vanish
        ~ ' and not exists (select 1 from made where ' ~ equal_in(key, 'existing', 'made') ~ ')'
    ) -%}
    {%- do run_query('drop table made') -%}
    {%- set counts = run_query('select (select count(*) from ' ~ rows ~ '), (select count(*) from ' ~ keys ~ ')').rows[0] -%}
    {{ return({
        'columns_differ': false, 'written': counts[0] | int, 'deleted': counts[1] | int - counts[0] | int,
        'rows': rows, 'keys': keys, 'key': key, 'columns': get_quoted_csv(columns | map(attribute='name')),
    }) }}
{%- endmacro %}

{% macro replace_rows(target, changes) -%}
    {%- call statement('delete_rows') -%}
        delete from {{ target }} as existing where exists (
            select 1 from {{ changes['keys'] }} as keys where {{ equal_in(changes.key, 'existing', 'keys') }}
        )
    {%- endcall -%}
    {%- call statement('insert_rows') -%}
        insert into {{ target }} ({{ changes.columns }}) select {{ changes.columns }} from {{ changes.rows }}
    {%- endcall -%}
{%- endmacro %}

{% macro equal_in(columns, one, other) -%}
    {%- for column in columns -%}
        {{ one }}.{{ column }} is not distinct from {{ other }}.{{ column }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#-
    What of the raw lines to read again. `since`: the load time from which on every newly loaded line lies. Later lines
    with one of their keys lie there too, so the newest line of each key is among those read, in whatever order the loads
    came. `may_vanish`: which rows of the table are missing from what is made because they are made no longer, and not
    because their lines were not read. `lenders`: whose lines are read by their load.
-#}
{% macro newly_loaded(build) -%}
    {%- set everything = {'since': 'cast(null as timestamp)', 'may_vanish': 'true', 'lenders': []} -%}
    {%- set raw, lenders = {}, [] -%}
    {%- if model.config.meta.get('by_load') -%} {%- do follow_inputs(model, {'tables': raw, 'views': {}}) -%} {%- endif -%}
    {%- for id in model.depends_on.nodes if id in graph.nodes and graph.nodes[id].config.meta.get('by_load') -%}
        {%- if graph.nodes[id].config.materialized == 'view' -%}
            {%- do follow_inputs(graph.nodes[id], {'tables': raw, 'views': {}}) -%}
            {%- do lenders.append(graph.nodes[id].name.partition('__')[0].removeprefix('stg_')) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for id, table in raw.items() if id in graph.sources and graph.sources[id].schema == 'serving' -%}
        {{ exceptions.raise_compiler_error(
            this ~ " reads " ~ table ~ ", whose rows were not loaded from files: remove by_load from the meta of the staging "
            ~ "model that reads it (docs/bring-your-own-lender.md)"
        ) }}
    {%- endfor -%}
    {%- if build.redefined or not raw -%} {{ return(everything) }} {%- endif -%}

    {%- set loads = [] -%}
    {%- for id, table in raw.items() if id in build.changed -%}
        {%- do loads.append('select change_type, _loaded_at from ' ~ changes_of(table, build) ~ ' as changes') -%}
    {%- endfor -%}
    {%- set may_vanish = 'false' if model.config.meta.get('by_load') else "source not in ('" ~ lenders | join("', '") ~ "')" -%}
    {%- set versions_of = model.config.meta.get('versions_of') -%}
    {%- if versions_of -%}
        {%- set may_vanish = '(' ~ may_vanish ~ ' or exists (select 1 from made where ' ~ equal_in(versions_of, 'existing', 'made') ~ '))' -%}
    {%- endif -%}
    {%- if not loads -%} {{ return({'since': "timestamp 'infinity'", 'may_vanish': may_vanish, 'lenders': lenders}) }} {%- endif -%}
    {%- set found = run_query(
        "select cast(min(_loaded_at) as varchar), count(case when change_type <> 'insert' then 1 end) from ("
        ~ loads | join(' union all ') ~ ') as loads'
    ).rows[0] -%}
    {#- lines taken away may uncover older ones -#}
    {%- if found[0] is none or found[1] > 0 -%} {{ return(everything) }} {%- endif -%}
    {{ return({'since': "timestamp '" ~ found[0] ~ "'", 'may_vanish': may_vanish, 'lenders': lenders}) }}
{%- endmacro %}

{#- Whether a raw line must be read: always, unless a build reads only newly loaded lines. -#}
{% macro is_newly_loaded(loaded_at) -%} {{ adapter.dispatch('is_newly_loaded', 'loanlake')(loaded_at) }} {%- endmacro %}
{% macro default__is_newly_loaded(loaded_at) -%} true {%- endmacro %}
{% macro duckdb__is_newly_loaded(loaded_at) -%}
    {{ loaded_at }} >= coalesce(getvariable('loaded_from'), cast('-infinity' as timestamp))
{%- endmacro %}
