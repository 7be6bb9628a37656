{#- What the profile of the lenders' data counts: entity → moment by whose delay it is fresh, and what names a row twice. -#}

{#-
    Entity → its model; `event`, whose distance from known_at is the row's delay; `same`, the columns that only a row that
    was delivered twice shares with another: the keys of the core tables are unique already. A new entity is a line here.
-#}
{% macro profiled_entities() -%}
    {%- set applications = contract_of('applications').keys() | reject('in', ['application_id', 'borrower_id', 'known_at']) -%}
    {{ return({
        'applications': {'event': 'decided_at', 'same': applications | list},
        'statements': {'event': 'statement_on', 'same': ['borrower_id', "date_trunc('month', statement_on)"]},
        'outcomes': {'event': 'outcome_at', 'same': none},
    }) }}
{%- endmacro %}

{#- The columns of an entity whose missing values are counted: all that may be missing. -#}
{% macro profiled_columns(entity) -%}
    {%- set required = ['application_id', 'borrower_id', 'decided_at', 'known_at', 'statement_on', 'is_default', 'outcome_at'] -%}
    {{ return(contract_of(entity).keys() | reject('in', required) | list) }}
{%- endmacro %}

{#- Its columns of text, whose values are counted one by one. -#}
{% macro profiled_categories(entity) -%}
    {%- set found = [] -%}
    {%- for column, type in contract_of(entity).items() if type == 'text' and not column.endswith('_id') -%}
        {%- do found.append(column) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#- The profile: the months in which the changed rows became known, as they are and as they were. -#}
{% macro months_of_profile(build) -%}
    {%- for entity in profiled_entities() %}
    select known_at as month from {{ changes_of(ref('int_' ~ entity), build) }} as changes
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
