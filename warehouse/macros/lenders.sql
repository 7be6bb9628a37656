{#-
    The settings of lenders/<name>.yml: `lenders`, one mapping for each lender of the var lenders, with its `source`;
    `default`, those of a lender that sets nothing; and `broken`, lender → message, where the file cannot be read: such a
    lender stays as it was last built. The project's dbt-duckdb plugin reads the files when dbt connects (on Spark, `loanlake spark read`). Models read
    core.int_lenders instead, which is this as rows.
-#}
{% macro lender_settings() -%}
    {%- if not execute -%} {{ return({'lenders': [], 'default': {'set_aside': {}}, 'broken': {}}) }} {%- endif -%}
    {{ return(fromjson(run_query('select settings from ' ~ lender_settings_table()).rows[0][0])) }}
{%- endmacro %}

{% macro lender_settings_table() -%} {{ return(adapter.dispatch('lender_settings_table', 'loanlake')()) }} {%- endmacro %}
{% macro default__lender_settings_table() -%} {{ return('memory.main.lender_settings') }} {%- endmacro %}
{#- `loanlake spark read` makes it with the views of the raw tables -#}
{% macro spark__lender_settings_table() -%} {{ return('raw.lender_settings') }} {%- endmacro %}

{#- A number as SQL; null if there is none. -#}
{% macro number_literal(number) -%} {{ 'null' if number is none else number }} {%- endmacro %}
