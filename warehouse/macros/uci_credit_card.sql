{#- What is read of the card accounts' file, and how; see typing.sql. -#}
{% macro uci_credit_card_accounts() -%}
    {%- set readings = [
        {'name': 'account_id', 'from': 'id', 'format': 'bigint', 'required': true, 'min': 1},
        {'name': 'credit_limit', 'from': 'limit_bal', 'format': 'amount', 'required': true, 'min': 1},
        {'name': 'sex', 'format': 'text', 'values': {'1': 'male', '2': 'female'}},
        {'name': 'education', 'format': 'text',
            'values': {'1': 'graduate school', '2': 'university', '3': 'high school', '4': 'other'},
            'missing': ['0', '5', '6']},
        {'name': 'marital_status', 'from': 'marriage', 'format': 'text',
            'values': {'1': 'married', '2': 'single', '3': 'other'}, 'missing': ['0']},
        {'name': 'age', 'format': 'integer', 'min': 0, 'max': 120},
        {'name': 'is_default', 'from': 'default_payment_next_month', 'format': 'boolean', 'required': true},
    ] -%}
    {%- for month in uci_credit_card_months() -%}
        {%- do readings.extend([
            {'name': month.status, 'format': 'integer', 'required': true, 'min': -2, 'max': 120},
            {'name': month.bill, 'format': 'amount', 'required': true, 'min': -1000000000},
            {'name': month.paid, 'format': 'amount', 'required': true},
        ]) -%}
    {%- endfor -%}
    {{ return(readings) }}
{%- endmacro %}

{#- The six statements that sit side by side, newest first. The file calls September's status PAY_0, and has no PAY_1. -#}
{% macro uci_credit_card_months() -%}
    {{ return([
        {'ended_on': '2005-09-30', 'status': 'pay_0', 'bill': 'bill_amt1', 'paid': 'pay_amt1'},
        {'ended_on': '2005-08-31', 'status': 'pay_2', 'bill': 'bill_amt2', 'paid': 'pay_amt2'},
        {'ended_on': '2005-07-31', 'status': 'pay_3', 'bill': 'bill_amt3', 'paid': 'pay_amt3'},
        {'ended_on': '2005-06-30', 'status': 'pay_4', 'bill': 'bill_amt4', 'paid': 'pay_amt4'},
        {'ended_on': '2005-05-31', 'status': 'pay_5', 'bill': 'bill_amt5', 'paid': 'pay_amt5'},
        {'ended_on': '2005-04-30', 'status': 'pay_6', 'bill': 'bill_amt6', 'paid': 'pay_amt6'},
    ]) }}
{%- endmacro %}
