{#-
    What a table or view was built from. Kept as the message of the lake's snapshot that its rows were committed with: the
    two can't disagree, and a copy in another schema has its own. A table that something else made under its name since
    has none.

    snapshot    the lake as the build read it; what came later is what the next build takes in
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
        'snapshot': build.snapshot, 'definition': build.definition, 'shape': build.shape, 'comments': build.comments.hash
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

    full        why its table must be made anew; none if the existing one can take in what changed
    redescribed its comments are not the descriptions that the project has now
    redefined   its rows, or those it reads, may be of another formula than when it was last built
    changed     ids of the tables it reads that have other rows than then
    since, now  the snapshots between which they changed

    The writer lease is held from before dbt looked for the first table: nothing else is written between this and the
    commit, which is therefore snapshot now + 1. Rows of this table written later were not written by dbt.
-#}
{% macro plan_build(existing, sql) -%}
    {%- set inputs = inputs_of(model) -%}
    {%- set last = last_build(existing) if existing is not none else none -%}
    {%- set tables = lake_tables(inputs.tables.values() | list + [this], last.snapshot if last else 0) -%}
    {%- set described = [sql] -%}
    {%- for view in inputs.views.values() -%} {%- do described.append(view_text(view)) -%} {%- endfor -%}
    {%- for table in inputs.tables.values() -%} {%- do described.append(table.render() ~ tables[table.render()].id) -%} {%- endfor -%}
    {%- set columns = [] -%}
    {%- for column in model.columns.values() if config.get('contract').enforced -%}
        {%- do columns.append([column.name, column.data_type, column.constraints | map(attribute='type') | map('string') | list]) -%}
    {%- endfor -%}

    {%- set build = {
        'snapshot': tables.now, 'definition': local_md5(described | join('\n')), 'shape': local_md5(columns | string),
        'comments': comments_of(model), 'since': last.snapshot if last else 0, 'now': tables.now, 'inputs': inputs.tables, 'changed': [], 'full': none,
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
    Of each relation its id in the lake and whether its rows changed after the snapshot, or after the one that followed;
    now, the newest snapshot; whether all since are still there, or what changed can't be told; how many days old it is.
-#}
{% macro lake_tables(relations, since) -%}
    {%- set lake = this.database -%}
    {%- set found = run_query(
        "with written as (select snapshot_id, unnest(entry.value) as subject from ("
        ~ "select snapshot_id, unnest(map_entries(changes)) as entry from ducklake_snapshots('" ~ lake ~ "') "
        ~ "where snapshot_id > " ~ since ~ ") where entry.key in ('tables_inserted_into', 'tables_deleted_from', "
        ~ "'inlined_insert', 'inlined_delete')) "
        ~ "select schemas.schema_name, tables.table_name, tables.table_id, max(written.snapshot_id) "
        ~ "from __ducklake_metadata_" ~ lake ~ ".ducklake_table as tables "
        ~ "join __ducklake_metadata_" ~ lake ~ ".ducklake_schema as schemas using (schema_id) "
        ~ "left join written on written.subject = cast(tables.table_id as varchar) "
        ~ "where tables.end_snapshot is null and schemas.end_snapshot is null group by all"
    ) -%}
    {%- set snapshots = run_query(
        "select max(snapshot_id), count(case when snapshot_id >= " ~ since ~ " then 1 end), "
        ~ "date_diff('day', min(snapshot_time) filter (where snapshot_id = " ~ since ~ "), now()) "
        ~ "from ducklake_snapshots('" ~ lake ~ "')"
    ).rows[0] -%}
    {%- set tables = {
        'now': snapshots[0] | int, 'are_kept': snapshots[1] == snapshots[0] - since + 1, 'days_since': snapshots[2] | int(0)
    } -%}
    {%- for relation in relations -%}
        {%- do tables.update({relation.render(): {'id': none, 'changed': true, 'changed_later': true}}) -%}
        {%- for schema, table, id, newest in found.rows if schema == relation.schema and table == relation.identifier -%}
            {%- do tables.update({relation.render(): {
                'id': id | int, 'changed': newest is not none, 'changed_later': newest is not none and newest > since + 1,
            }}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(tables) }}
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
        from ducklake_table_changes('{{ relation.database }}', '{{ relation.schema }}', '{{ relation.identifier }}', {{ build.since + 1 }}, {{ build.now }}) as changed
        where changed.snapshot_id not in (
            select snapshot_id from ducklake_snapshots('{{ relation.database }}') where map_contains(changes, 'rewrite_delete')
        )
    )
{%- endmacro %}

{#- Make the table anew, in one transaction: readers see the old table, then the new one. -#}
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
