{#-
    What a table or view was built from. Kept as the message of the lake's snapshot that its rows were committed with: the
    two can't disagree, and a copy in another schema has its own. A table that something else made under its name since
    has none.

    snapshots   each lake as the build read it; what came later is what the next build takes in. A person's own lake
                (the target dev) takes its sources from production's, which counts its snapshots by itself
    definition  hash of the SQL, of the views it reads through, and of which tables these read
    shape       hash of the columns, types and constraints of the contract
    comments    hash of the descriptions that were written as comments
-#}
{% macro last_build(relation) -%}
    {%- set metadata = '__ducklake_metadata_' ~ relation.database -%}
    {%- set kind = 'view' if relation.is_view else 'table' -%}
    {%- set found = run_query(
        "select commit_extra_info from " ~ metadata ~ ".ducklake_snapshot_changes where author = 'dbt' "
        ~ "and commit_message = '" ~ build_message(relation) ~ "' and snapshot_id >= ("
        ~ "select min(versions.begin_snapshot) from " ~ metadata ~ ".ducklake_" ~ kind ~ " as made "
        ~ "join " ~ metadata ~ ".ducklake_schema as schemas using (schema_id) "
        ~ "join " ~ metadata ~ ".ducklake_" ~ kind ~ " as versions using (" ~ kind ~ "_id) "
        ~ "where made.end_snapshot is null and schemas.end_snapshot is null "
        ~ "and schemas.schema_name = '" ~ relation.schema ~ "' and made." ~ kind ~ "_name = '" ~ relation.identifier ~ "') "
        ~ "order by snapshot_id desc limit 1"
    ) -%}
    {{ return(fromjson(found.rows[0][0]) if found.rows else none) }}
{%- endmacro %}

{% macro build_message(relation) -%} {{ return('built ' ~ relation.schema ~ '.' ~ relation.identifier) }} {%- endmacro %}

{#- Without a change of the table there would be no snapshot to carry the message: its own comment is one. -#}
{% macro write_build(relation, build) -%}
    {%- set kept = {
        'snapshots': build.now, 'definition': build.definition, 'shape': build.shape, 'comments': build.comments.hash
    } -%}
    {%- do comment_on(relation, build.comments) -%}
    {%- call statement('write_build') -%}
        call {{ relation.database }}.set_commit_message('dbt', '{{ build_message(relation) }}', extra_info => '{{ tojson(kept) }}')
    {%- endcall -%}
{%- endmacro %}

{#- The tables that a node reads, and the views through which it reads them: id → relation. -#}
{% macro inputs_of(node) -%}
    {%- set inputs = {'tables': {}, 'views': {}} -%}
    {%- do follow_inputs(node, inputs) -%}
    {{ return(inputs) }}
{%- endmacro %}

{% macro follow_inputs(node, inputs) -%}
    {%- for id in node.depends_on.nodes -%}
        {%- set input = graph.nodes.get(id) or graph.sources.get(id) -%}
        {%- set relation = api.Relation.create(
            database=input.database, schema=input.schema, identifier=input.identifier or input.alias
        ) -%}
        {%- if input.resource_type == 'model' and input.config.materialized == 'view' -%}
            {%- do inputs.views.update({id: relation}) -%}
            {%- do follow_inputs(input, inputs) -%}
        {%- else -%}
            {%- do inputs.tables.update({id: relation}) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}

{#-
    How this model may be built: what it would be built from now, and

    full        why its table must be rebuilt; none if the existing one can be updated
    redescribed its comments are not the descriptions that the project has now
    redefined   its rows, or those it reads, may be of another formula than when it was last built
    changed     ids of the tables it reads that have other rows than then
    since, now  the snapshots between which they changed, by lake

    The writer lease is held from before dbt looked for the first table: nothing else is written between this and the
    commit, which is therefore snapshot now + 1 of this lake. Rows of this table written later were not written by dbt.
-#}
{% macro plan_build(existing, sql) -%}
    {%- set inputs = inputs_of(model) -%}
    {%- set last = last_build(existing) if existing is not none else none -%}
    {%- set tables = lake_tables(inputs.tables.values() | list + [this], last.snapshots if last else {}) -%}
    {%- set described = [sql] -%}
    {%- for view in inputs.views.values() -%} {%- do described.append(view_text(view)) -%} {%- endfor -%}
    {%- for table in inputs.tables.values() -%} {%- do described.append(table.render() ~ tables[table.render()].id) -%} {%- endfor -%}
    {%- set columns = [] -%}
    {%- for column in model.columns.values() if config.get('contract').enforced -%}
        {%- do columns.append([column.name, column.data_type, column.constraints | map(attribute='type') | map('string') | list]) -%}
    {%- endfor -%}

    {%- set build = {
        'definition': local_md5(described | join('\n')), 'shape': local_md5(columns | string),
        'comments': comments_of(model), 'since': tables.since, 'now': tables.now, 'inputs': inputs.tables, 'changed': [], 'full': none,
    } -%}
    {%- for id, table in inputs.tables.items() if tables[table.render()].changed -%}
        {%- do build.changed.append(id) -%}
    {%- endfor -%}
    {%- do build.update({'redefined': last is not none and last.definition != build.definition}) -%}
    {%- do build.update({'redescribed': last is not none and last.comments != build.comments.hash}) -%}
    {%- do build.update({'stale': build.changed | length > 0 or tables.days_since > 0}) -%}
    {%- if existing is none -%} {%- do build.update({'full': 'new'}) -%}
    {%- elif should_full_refresh() -%} {%- do build.update({'full': 'as asked'}) -%}
    {%- elif not last or not existing.is_table -%} {%- do build.update({'full': 'not built like this before'}) -%}
    {%- elif last.shape != build.shape -%} {%- do build.update({'full': 'the columns have changed'}) -%}
    {%- elif not tables.are_kept -%} {%- do build.update({'full': 'snapshots since its last build have expired'}) -%}
    {%- elif tables[this.render()].changed_later -%} {%- do build.update({'full': 'written by something else'}) -%}
    {%- endif -%}
    {{ return(build) }}
{%- endmacro %}

{#-
    Of each relation its id in its lake (none: it does not exist) and whether its rows changed after that lake's snapshot in `since`, or after the
    one that followed; since and now, by lake: the snapshots from and to which is looked; whether all between are still
    there, or changes are unknown; how many days old the oldest is.
-#}
{% macro lake_tables(relations, since) -%}
    {%- set tables = {'since': {}, 'now': {}, 'are_kept': true, 'days_since': 0} -%}
    {%- set found = {} -%}
    {%- for lake in relations | map(attribute='database') | unique -%}
        {%- set first = since.get(lake, 0) -%}
        {%- set now, n_kept, days = snapshots_of(lake, first) -%}
        {%- do tables.since.update({lake: first}) -%}
        {%- do tables.now.update({lake: now}) -%}
        {%- do tables.update({
            'are_kept': tables.are_kept and n_kept == now - first + 1, 'days_since': [tables.days_since, days] | max
        }) -%}
        {%- do found.update({lake: tables_of(lake, first, now)}) -%}
    {%- endfor -%}
    {%- for relation in relations -%}
        {%- do tables.update({relation.render(): {'id': none, 'changed': false, 'changed_later': true}}) -%}
        {%- for schema, table, id, newest in found[relation.database]
            if schema == relation.schema and table == relation.identifier -%}
            {%- do tables.update({relation.render(): {
                'id': id | int, 'changed': newest is not none,
                'changed_later': newest is not none and newest > tables.since[relation.database] + 1,
            }}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(tables) }}
{%- endmacro %}

{#- The snapshot of a lake that this build reads, how many from `first` to it are kept, and how many days old `first` is. -#}
{% macro snapshots_of(lake, first) -%}
    {%- set found = run_query(
        "with current as (select id from ducklake_current_snapshot('" ~ lake ~ "') as snapshots(id)) "
        ~ "select max(current.id), count(case when snapshot_id >= " ~ first ~ " and snapshot_id <= current.id then 1 end), "
        ~ "date_diff('day', min(snapshot_time) filter (where snapshot_id = " ~ first ~ "), now()) "
        ~ "from current left join ducklake_snapshots('" ~ lake ~ "') on true"
    ).rows[0] -%}
    {{ return((found[0] | int, found[1] | int, found[2] | int(0))) }}
{%- endmacro %}

{#- Each table of a lake: schema, name, id, and the newest of these snapshots that wrote to it, if any did. -#}
{% macro tables_of(lake, first, now) -%}
    {{ return(run_query(
        "with written as (select snapshot_id, unnest(entry.value) as subject from ("
        ~ "select snapshot_id, unnest(map_entries(changes)) as entry from ducklake_snapshots('" ~ lake ~ "') "
        ~ "where snapshot_id > " ~ first ~ " and snapshot_id <= " ~ now
        ~ ") where entry.key in ('tables_inserted_into', 'tables_deleted_from', 'inlined_insert', 'inlined_delete')) "
        ~ "select schemas.schema_name, tables.table_name, tables.table_id, max(written.snapshot_id) "
        ~ "from __ducklake_metadata_" ~ lake ~ ".ducklake_table as tables "
        ~ "join __ducklake_metadata_" ~ lake ~ ".ducklake_schema as schemas using (schema_id) "
        ~ "left join written on written.subject = cast(tables.table_id as varchar) "
        ~ "where tables.end_snapshot is null and schemas.end_snapshot is null group by all"
    ).rows) }}
{%- endmacro %}

{% macro view_text(view) -%}
    {%- set found = run_query(
        "select sql from duckdb_views() where database_name = '" ~ view.database ~ "' and schema_name = '" ~ view.schema
        ~ "' and view_name = '" ~ view.identifier ~ "'"
    ) -%}
    {{ return(found.rows[0][0] if found.rows else '') }}
{%- endmacro %}

{#-
    The rows of a table that were written and those that were taken away between two snapshots, once each. Maintenance
    that rewrites files without their deleted rows changes none, though it shows as if it had.
-#}
{% macro changes_of(relation, build) -%}
    (
        select changed.*
        from ducklake_table_changes(
            '{{ relation.database }}', '{{ relation.schema }}', '{{ relation.identifier }}',
            {{ build.since[relation.database] + 1 }}, {{ build.now[relation.database] }}
        ) as changed
        where changed.snapshot_id not in (
            select snapshot_id from ducklake_snapshots('{{ relation.database }}') where map_contains(changes, 'rewrite_delete')
        )
    )
{%- endmacro %}

{#- Rebuild the table in one transaction: readers see the old table, then the new one. -#}
{% macro replace_table(existing, sql, build) -%}
    {%- set target = this.incorporate(type='table') -%}
    {%- set intermediate = make_intermediate_relation(target) -%}
    {%- do drop_relation_if_exists(load_cached_relation(intermediate)) -%}
    {%- call statement('main') -%} {{ create_table_as(False, intermediate, sql) }} {%- endcall -%}
    {%- if existing is not none -%} {%- do adapter.drop_relation(existing) -%} {%- endif -%}
    {%- do adapter.rename_relation(intermediate, target) -%}
    {%- do write_build(target, build) -%}
    {%- do adapter.commit() -%}
    {%- call noop_statement('main', 'all rows: ' ~ build.full) -%} {{ sql }} {%- endcall -%}
    {{ return(target) }}
{%- endmacro %}
