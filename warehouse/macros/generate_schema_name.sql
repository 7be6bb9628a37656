{#- In production each layer is a schema of its own name; an analyst's dev target prefixes it. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set layer = custom_schema_name or target.schema -%}
    {%- if target.name == 'prod' -%} {{ layer | trim }} {%- else -%} {{ target.schema }}_{{ layer | trim }} {%- endif -%}
{%- endmacro %}
