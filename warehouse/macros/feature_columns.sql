{#- Columns of a model whose meta has one of these values for a key, in the order of its YAML. -#}
{% macro columns_with(model_id, key, values) -%}
    {%- set names = [] -%}
    {%- if execute and graph.nodes is defined -%}
        {%- for column in graph.nodes['model.' ~ project_name ~ '.' ~ model_id].columns.values() -%}
            {%- if (column.config.meta or column.meta).get(key) in values -%} {%- do names.append(column.name) -%} {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(names) }}
{%- endmacro %}

{#-
    The features of a version, in table order, read from its YAML: the contract is the only list of them. Of a version
    that a lender extends, '2_mybank', those of version 2 and then the lender's own.
-#}
{% macro feature_columns(version) -%}
    {%- set number, own, _ = (version | string).partition('_') -%}
    {%- set names = columns_with('ftr_application.v' ~ number, 'role', ['feature']) -%}
    {{ return(names + (columns_with('ftr_application_v' ~ version, 'role', ['feature']) if own else [])) }}
{%- endmacro %}

{#-
    The inputs that features of every lender may read, for the inputs of a lender that has columns of its own; `relation`:
    the alias of ftr_application_inputs.
-#}
{% macro shared_inputs(relation) -%}
    {%- set names = columns_with('ftr_application_inputs', 'origin', ['key', 'context', 'request', 'history', 'cohort']) -%}
    {%- for name in names %}
    {{ relation }}.{{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#-
    A lender's own inputs of one origin, request or history, read from the YAML of its inputs; `relation`: the alias of the
    relation that has them.
-#}
{% macro own_columns(lender, origin, relation) -%}
    {%- set model = 'ftr_application_inputs_' ~ lender -%}
    {%- set names = columns_with(model, 'origin', [origin]) -%}
    {%- if execute and not names -%}
        {{ exceptions.raise_compiler_error(model ~ " must have a column with origin: " ~ origin ~ " in its YAML: found none") }}
    {%- endif -%}
    {%- for name in names %}
    {{ relation }}.{{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- The rows of trn_default for a version of the features: keys, split, label, then every feature in contract order. -#}
{% macro training_rows(version) -%}
{%- set is_own = '_' in version | string -%}
select
    features.application_id,
    features.borrower_id,
    features.source,
    features.decided_at,
    splits.split,
    splits.is_default,
    splits.label_known_at
    {%- for feature in feature_columns(version) -%}
    ,
    features.{{ feature }}
    {%- endfor %}
from {{ ref('lbl_default_splits') }} as splits
inner join {{ ref('ftr_application_v' ~ version) if is_own else ref('ftr_application', v=version) }} as features
    on features.application_id = splits.application_id
{%- endmacro %}
