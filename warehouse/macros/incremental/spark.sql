{#-
    The materializations on Apache Spark. Its tables have no snapshots that would say which rows changed: a `keyed` table
    is computed whole, and so is a `monthly` one, unless months are asked for (the vars months_from and months_to), whose
    partitions alone are then replaced. Rows are written beside the old table and checked before they take its place. The var spark_format: parquet, or
    delta or iceberg where the cluster has them.
-#}
{% materialization keyed, adapter='spark' %}
    {{ run_hooks(pre_hooks) }}
    {%- set target = write_spark_table(sql) -%}
    {{ run_hooks(post_hooks) }}

    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{% materialization monthly, adapter='spark' %}
    {{ run_hooks(pre_hooks) }}
    {%- if builds_some_months() -%} {%- set target = overwrite_spark_months(sql) -%}
    {%- else -%} {%- set target = write_spark_table(sql, moment=model.config.meta.month_of) -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}

    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{#-
    A view of many steps, as the typed rows of a file are, is a table: Spark plans it anew in each part of a model that
    reads it (two minutes for the versions of outcomes), and its embedded metastore takes 32,700 characters at most.
-#}
{% materialization view, adapter='spark' %}
    {{ run_hooks(pre_hooks) }}
    {%- if sql | length > 8000 -%} {%- set target = write_spark_table(sql) -%}
    {%- else -%}
        {%- set existing, target = load_cached_relation(this), this.incorporate(type='view') -%}
        {%- if existing is not none and not existing.is_view -%} {%- do adapter.drop_relation(existing) -%} {%- endif -%}
        {%- call statement('main') -%} {{ get_create_view_as_sql(target, sql) }} {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}

    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{#- Write the rows beside the table, and let them take its place; with a partition for each month of `moment`. -#}
{% macro write_spark_table(sql, moment=none) -%}
    {%- set existing, target = load_cached_relation(this), this.incorporate(type='table') -%}
    {%- set written = write_beside(sql, moment) -%}
    {%- if existing is not none -%} {%- do adapter.drop_relation(existing) -%} {%- endif -%}
    {%- do adapter.rename_relation(written, target) -%}
    {{ return(target) }}
{%- endmacro %}

{% macro overwrite_spark_months(sql) -%}
    {%- set moment = model.config.meta.month_of -%}
    {%- set built -%} select * from ({{ sql }}) as built where {{ in_built_months(moment) }} {%- endset -%}
    {%- set written = write_beside(built, moment) -%}
    {%- call statement('overwrite_months') -%}
        insert overwrite table {{ this }} partition ({{ month_partition() }}) select * from {{ written }}
    {%- endcall -%}
    {#- an overwritten partition is one that has rows now -#}
    {%- set emptied = run_query(
        'select distinct ' ~ month_partition() ~ ' from ' ~ this ~ ' where ' ~ in_built_months(month_partition())
        ~ ' except select ' ~ month_partition() ~ ' from ' ~ written
    ) -%}
    {%- for month in emptied.columns[0].values() -%}
        {%- do run_query("alter table " ~ this ~ " drop partition (" ~ month_partition() ~ " = date '" ~ month ~ "')") -%}
    {%- endfor -%}
    {%- do adapter.drop_relation(written) -%}
    {{ return(this.incorporate(type='table')) }}
{%- endmacro %}

{#- A table of the rows, of the contract's columns and without nulls where it has none. -#}
{% macro write_beside(sql, moment) -%}
    {%- set written = api.Relation.create(schema=this.schema, identifier=this.identifier ~ '__new', type='table') -%}
    {%- do run_query('drop table if exists ' ~ written) -%}
    {%- if config.get('contract').enforced -%}
        {%- do get_assert_columns_equivalent(sql) -%}
        {%- set sql = get_select_subquery(sql) -%}
    {%- endif -%}
    {%- call statement('main') -%}
        create table {{ written }} using {{ var('spark_format') }}
        {%- if moment is none %} as {{ sql }}
        {%- else %} partitioned by ({{ month_partition() }}) as
        -- one file a month
        select /*+ repartition({{ month_partition() }}) */
            *,
            cast(date_trunc('month', {{ moment }}) as date) as {{ month_partition() }}
        from ({{ sql }}) as built
        {%- endif %}
    {%- endcall -%}
    {%- do require_no_nulls(written) -%}
    {{ return(written) }}
{%- endmacro %}

{#- Spark's Parquet tables keep no constraint: what the contract says is checked before the rows can be read. -#}
{% macro require_no_nulls(relation) -%}
    {%- set columns, counts = [], [] -%}
    {%- for column in model.columns.values() -%}
        {%- if 'not_null' in column.constraints | map(attribute='type') | map('string') -%}
            {%- do columns.append(column.name) -%}
            {%- do counts.append('count_if(' ~ adapter.quote(column.name) ~ ' is null)') -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if columns -%}
        {%- set found = run_query('select ' ~ counts | join(', ') ~ ' from ' ~ relation).rows[0] -%}
        {%- for place in range(columns | length) if found[place] -%}
            {{ exceptions.raise_compiler_error(
                this ~ '.' ~ columns[place] ~ ' must not be null (constraint not_null of the contract): found '
                ~ found[place] ~ ' rows'
            ) }}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{#- The column that a monthly table is partitioned by, after those of its contract. -#}
{% macro month_partition() -%} {{ return('_month') }} {%- endmacro %}

{#- Whether only months that were asked for are built, of a table that exists. -#}
{% macro builds_some_months() -%}
    {{ return(
        execute and not should_full_refresh() and (var('months_from') is not none or var('months_to') is not none)
        and load_relation(this) is not none
    ) }}
{%- endmacro %}

{% macro spark__in_built_months(moment) -%}
    {%- if not builds_some_months() -%} true
    {%- else -%}
        {%- set months = months_asked_for() -%}
        date_trunc('month', {{ moment }}) between timestamp '{{ months.first }}-01 00:00:00' and timestamp '{{ months.last }}-01 00:00:00'
    {%- endif -%}
{%- endmacro %}

{#- A contract's types by the names that Spark has for them. -#}
{% macro spark__get_empty_schema_sql(columns) -%}
    {%- set typed = [] -%}
    {%- for column in columns.values() -%}
        {%- set type = dbt.type_string() if column.data_type == 'varchar' else column.data_type -%}
        {%- do typed.append('cast(null as ' ~ type ~ ') as ' ~ adapter.quote(column.name)) -%}
    {%- endfor -%}
    select {{ typed | join(', ') }}
{%- endmacro %}
