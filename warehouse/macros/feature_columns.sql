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

{#- The rows of trn_default for a version of the features: keys, split, label, then every feature in contract order. -#}
{% macro training_rows(version) -%}
select
    features.application_id,
    features.borrower_id,
    features.source,
    features.decided_at,
    splits.split,
    splits.is_default,
    splits.label_known_at
    {%- for feature in feature_columns('ftr_application', version) -%}
    ,
    features.{{ feature }}
    {%- endfor %}
from {{ ref('lbl_default_splits') }} as splits
inner join {{ ref('ftr_application', v=version) }} as features on features.application_id = splits.application_id
{%- endmacro %}
