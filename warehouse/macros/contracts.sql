{#-
    The lender-neutral contracts: name → type of every column but source, in table order. Staging models end in
    contract_columns(entity, lacks=[…]); the core models unite them; their YAML enforces the same types.
-#}
{% macro contract_of(entity) -%}
    {{ return({
        'applications': {
            'application_id': 'text', 'borrower_id': 'text', 'decided_at': 'timestamp', 'known_at': 'timestamp',
            'requested_amount': 'double', 'term_months': 'integer', 'annual_rate': 'double', 'lender_grade': 'integer',
            'purpose': 'text', 'region': 'text', 'annual_income': 'double', 'income_verified': 'boolean',
            'employment_years': 'double', 'home_ownership': 'text', 'debt_to_income': 'double',
            'bureau_score': 'double', 'n_open_accounts': 'integer', 'n_total_accounts': 'integer',
            'n_inquiries_6m': 'integer', 'n_delinquencies_2y': 'integer', 'n_public_records': 'integer',
            'n_bankruptcies': 'integer', 'months_since_delinquency': 'double',
            'months_since_public_record': 'double', 'revolving_balance': 'double', 'revolving_utilisation': 'double',
            'oldest_account_on': 'date', 'credit_limit': 'double',
        },
        'statements': {
            'borrower_id': 'text', 'statement_on': 'date', 'known_at': 'timestamp', 'credit_limit': 'double',
            'balance': 'double', 'paid_amount': 'double', 'months_past_due': 'integer',
        },
        'outcomes': {
            'application_id': 'text', 'is_default': 'boolean', 'outcome_at': 'timestamp', 'known_at': 'timestamp',
            'loss_amount': 'double',
        },
        'demographics': {
            'borrower_id': 'text', 'sex': 'text', 'birth_year': 'integer', 'marital_status': 'text',
            'education': 'text',
        },
    }[entity]) }}
{%- endmacro %}

{#- Every column of the contract, typed; null for those that the lender lacks. Then those of the line behind the row. -#}
{% macro contract_columns(entity, lacks=[]) -%}
    {%- set contract = contract_of(entity) -%}
    {%- for column in lacks if column not in contract -%}
        {{ exceptions.raise_compiler_error("lacks: " ~ column ~ " is no column of " ~ entity) }}
    {%- endfor -%}
    {%- for column, type in contract.items() %}
    cast({{ 'null' if column in lacks else column }} as {{ sql_type(type) }}) as {{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
    {%- for column in line_columns(entity) %},
    {{ column }}
    {%- endfor %}
{%- endmacro %}

{#- What a staging model passes on of the line behind a row, so that core can tell the versions of the row apart. -#}
{% macro line_columns(entity) -%}
    {{ return(['_loaded_at', '_replaced_at'] if entity in ('applications', 'statements', 'outcomes') else []) }}
{%- endmacro %}

{#- The entity's rows of every lender that has it, with its source; the id leads, as in the contract, and the line is last. -#}
{% macro every_lender(entity) -%}
    {%- set columns = contract_of(entity).keys() | list -%}
    {%- set leading = 2 if columns[1].endswith('_id') else 1 -%}
    {%- for lender, entities in var('lenders').items() if entity in entities %}
select
    {{ columns[:leading] | join(',\n    ') }},
    '{{ lender }}' as source,
    {{ (columns[leading:] + line_columns(entity)) | join(',\n    ') }}
from {{ ref('stg_' ~ lender ~ '__' ~ entity) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
