{#- The features of a version, in table order, read from its YAML: the contract is the only list of them. -#}
{% macro feature_columns(model_name, version) -%}
    {%- set names = [] -%}
    {%- if execute and graph.nodes is defined -%}
        {%- set node = graph.nodes['model.' ~ project_name ~ '.' ~ model_name ~ '.v' ~ version] -%}
        {%- for column in node.columns.values() if (column.config.meta or column.meta).get('role') == 'feature' -%}
            {%- do names.append(column.name) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(names) }}
{%- endmacro %}
