{#- dbt's view, left alone while its text and the tables it reads are the same: replacing one costs two snapshots. -#}
{% materialization view, adapter='duckdb' %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target = this.incorporate(type='view') -%}
    {%- set build = plan_build(existing, sql) -%}
    {%- set last = last_build(existing) if existing is not none and existing.is_view else none -%}

    {{ run_hooks(pre_hooks) }}
    {%- if last and last.definition == build.definition and last.shape == build.shape and not build.redescribed -%}
        {%- call noop_statement('main', 'unchanged') -%} {{ sql }} {%- endcall -%}
    {%- else -%}
        {%- if existing is not none -%}
            {%- call statement('drop_existing') -%} drop {{ existing.type }} if exists {{ existing }} {%- endcall -%}
        {%- endif -%}
        {%- call statement('main') -%} {{ get_create_view_as_sql(target, sql) }} {%- endcall -%}
        {%- do write_build(target, build) -%}
        {%- do adapter.commit() -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}

    {{ return({'relations': [target]}) }}
{% endmaterialization %}
