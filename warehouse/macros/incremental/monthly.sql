{#-
    A table with a moment in each row, of which whole months are replaced: those that rows known since the last build can
    affect, and those asked for (vars months_from, months_to: '2009-01', both included). Meta of its config:

    month_of         the column of the moment
    affected_months  a macro: build → select of the affected months; default: the months of the changed rows of the
                     tables it reads, each by its own month_of

    The model's text is the whole table, whatever is built: where the text must be told (below an aggregate the month
    can't be pushed down), it asks in_built_months, which is true of all rows unless this materialization says otherwise.
-#}
{% materialization monthly, adapter='duckdb' %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set build = plan_build(existing, sql) -%}
    {%- if build.redefined and build.full is none -%} {%- do build.update({'full': 'its definition has changed'}) -%} {%- endif -%}

    {{ run_hooks(pre_hooks) }}
    {%- if build.full is not none -%}
        {%- set target = replace_table(existing, sql, build) -%}
    {%- else -%}
        {%- set target = existing -%}
        {%- set months = months_to_build(build) -%}
        {%- if months -%} {%- do replace_months(target, sql, months) -%} {%- endif -%}
        {%- if months or build.stale or build.redescribed -%}
            {%- do write_build(target, build) -%}
            {%- do adapter.commit() -%}
        {%- endif -%}
        {%- call noop_statement('main', months | length ~ ' months' if months else 'unchanged') -%} {{ sql }} {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}

    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{% macro replace_months(target, sql, months) -%}
    {%- set columns = get_quoted_csv(adapter.get_columns_in_relation(target) | map(attribute='name')) -%}
    {%- set moment = model.config.meta.month_of -%}
    {%- set dates = "[date '" ~ months | join("', date '") ~ "']" -%}
    {%- do run_query('set variable built_months = ' ~ dates) -%}
    {%- call statement('delete_months') -%} delete from {{ target }} where {{ in_built_months(moment) }} {%- endcall -%}
    {%- call statement('insert_months') -%}
        insert into {{ target }} ({{ columns }})
        select {{ columns }} from ({{ sql }}) as built where {{ in_built_months(moment) }}
    {%- endcall -%}
    {%- do run_query('reset variable built_months') -%}
{%- endmacro %}

{#- Whether a moment lies in a month that is being built: always, unless single months are. -#}
{% macro in_built_months(moment) -%} {{ adapter.dispatch('in_built_months', 'loanlake')(moment) }} {%- endmacro %}
{% macro default__in_built_months(moment) -%} true {%- endmacro %}
{% macro duckdb__in_built_months(moment) -%}
    coalesce(list_contains(getvariable('built_months'), cast(date_trunc('month', {{ moment }}) as date)), true)
{%- endmacro %}

{#- First days of the months to replace, in order. -#}
{% macro months_to_build(build) -%}
    {%- set affected = [] -%}
    {%- if build.changed -%}
        {%- do affected.append(context[model.config.meta.get('affected_months', 'months_of_inputs')](build)) -%}
    {%- endif -%}
    {%- if var('months_from') is not none or var('months_to') is not none -%}
        {%- do affected.append(select_asked_months()) -%}
    {%- endif -%}
    {%- if not affected -%} {{ return([]) }} {%- endif -%}
    {%- set found = run_query(
        "select distinct cast(date_trunc('month', month) as date) from (" ~ affected | join(' union all ')
        ~ ") as affected where month is not null order by 1"
    ) -%}
    {{ return(found.columns[0].values() | map('string') | list) }}
{%- endmacro %}

{#- A table that lacks one of the asked months has nothing to replace in it. -#}
{% macro select_asked_months() -%}
    {%- set months = months_asked_for() -%}
    select unnest(generate_series(date '{{ months.first }}-01', date '{{ months.last }}-01', interval 1 month)) as month
{%- endmacro %}

{#- The first and the last month of the vars months_from and months_to. -#}
{% macro months_asked_for() -%}
    {%- set first, last = var('months_from') or var('months_to'), var('months_to') or var('months_from') -%}
    {%- for month in (first, last) if not modules.re.fullmatch('[0-9]{4}-(0[1-9]|1[0-2])', month | string) -%}
        {{ exceptions.raise_compiler_error("months_from and months_to must be months such as 2009-01: found '" ~ month ~ "'") }}
    {%- endfor -%}
    {%- if last < first -%}
        {{ exceptions.raise_compiler_error("months_from must not be later than months_to: found " ~ first ~ " and " ~ last) }}
    {%- endif -%}
    {{ return({'first': first, 'last': last}) }}
{%- endmacro %}
