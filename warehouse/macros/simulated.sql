{#- What is read of the simulated lender's five files, and how; see typing.sql. -#}
{% macro simulated_file(entity) -%}
    {%- set purposes = {} -%}
    {%- for purpose in accepted_purposes() -%} {%- do purposes.update({purpose: purpose}) -%} {%- endfor -%}
    {%- set homes = {'own': 'own', 'mortgage': 'mortgage', 'rent': 'rent', 'other': 'other'} -%}
    {%- set keys = {'statements': ['borrower_id', 'statement_on'], 'demographics': ['borrower_id']} -%}
    {%- set readings = {
        'applications': [
            {'name': 'application_id', 'format': 'id', 'required': true},
            {'name': 'borrower_id', 'format': 'id', 'required': true},
            {'name': 'decided_at', 'format': 'timestamp', 'required': true},
            {'name': 'requested_amount', 'format': 'amount', 'required': true, 'min': 1},
            {'name': 'term_months', 'format': 'integer', 'required': true, 'min': 1, 'max': 480},
            {'name': 'annual_rate', 'format': 'double', 'min': 0, 'max': 1},
            {'name': 'purpose', 'format': 'text', 'values': purposes},
            {'name': 'region', 'format': 'text'},
            {'name': 'annual_income', 'format': 'amount'},
            {'name': 'income_verified', 'format': 'boolean'},
            {'name': 'employment_years', 'format': 'double', 'min': 0, 'max': 80},
            {'name': 'home_ownership', 'format': 'text', 'values': homes},
            {'name': 'debt_to_income', 'format': 'double', 'min': 0, 'max': 1000},
            {'name': 'bureau_score', 'format': 'double', 'min': 0, 'max': 1000},
            {'name': 'n_open_accounts', 'format': 'count'},
            {'name': 'n_total_accounts', 'format': 'count'},
            {'name': 'n_inquiries_6m', 'format': 'count'},
            {'name': 'n_delinquencies_2y', 'format': 'count'},
            {'name': 'n_public_records', 'format': 'count'},
            {'name': 'revolving_balance', 'format': 'amount'},
            {'name': 'revolving_utilisation', 'format': 'double', 'min': 0, 'max': 1000},
            {'name': 'oldest_account_on', 'format': 'date'},
        ],
        'statements': [
            {'name': 'borrower_id', 'format': 'id', 'required': true},
            {'name': 'statement_on', 'format': 'date', 'required': true},
            {'name': 'known_at', 'format': 'timestamp'},
            {'name': 'credit_limit', 'format': 'amount'},
            {'name': 'balance', 'format': 'amount', 'min': -1000000000},
            {'name': 'paid_amount', 'format': 'amount'},
            {'name': 'months_past_due', 'format': 'count', 'max': 120},
        ],
        'outcomes': [
            {'name': 'application_id', 'format': 'id', 'required': true},
            {'name': 'is_default', 'format': 'boolean', 'required': true},
            {'name': 'outcome_at', 'format': 'timestamp', 'required': true},
            {'name': 'known_at', 'format': 'timestamp'},
            {'name': 'loss_amount', 'format': 'amount'},
        ],
        'demographics': [
            {'name': 'borrower_id', 'format': 'id', 'required': true},
            {'name': 'sex', 'format': 'text'},
            {'name': 'birth_year', 'format': 'integer', 'min': 1900, 'max': 2100},
            {'name': 'marital_status', 'format': 'text'},
            {'name': 'education', 'format': 'text'},
        ],
        'truth': [
            {'name': 'application_id', 'format': 'id', 'required': true},
            {'name': 'p_default', 'format': 'double', 'required': true, 'min': 0, 'max': 1},
            {'name': 'is_shock_period', 'format': 'boolean', 'required': true},
        ],
    }[entity] -%}
    {{ return({'readings': readings, 'key': keys.get(entity, ['application_id'])}) }}
{%- endmacro %}
