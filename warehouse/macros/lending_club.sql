{#-
    What is read of the public accepted-loans file (151 columns), and how; see typing.sql. Percentages are written with
    their sign in the lender's own downloads and without it in the public copy, 11.89% and 11.89: `sign: optional`.
-#}
{% macro lending_club_loans() -%}
    {%- set sub_grades = {} -%}
    {%- for grade in 'ABCDEFG' -%}
        {%- for step in range(1, 6) -%}
            {%- do sub_grades.update({grade ~ step: 5 * 'ABCDEFG'.index(grade) + step}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- set years = {'< 1 year': 0, '1 year': 1, '10+ years': 10} -%}
    {%- for n in range(2, 10) -%} {%- do years.update({n ~ ' years': n}) -%} {%- endfor -%}
    {%- set purposes = {} -%}
    {%- for purpose in accepted_purposes() -%} {%- do purposes.update({purpose: purpose}) -%} {%- endfor -%}
    {%- set statuses = {} -%}
    {%- for status, meant in {
        'Fully Paid': 'fully paid', 'Charged Off': 'charged off', 'Current': 'open', 'Issued': 'open',
        'In Grace Period': 'open', 'Late (16-30 days)': 'open', 'Late (31-120 days)': 'open', 'Default': 'open',
    }.items() -%}
        {#- loans of before 2011 that the lender would not have made under its later policy: made all the same -#}
        {%- do statuses.update({status: meant, 'Does not meet the credit policy. Status:' ~ status: meant}) -%}
    {%- endfor -%}

    {{ return([
        {'name': 'loan_id', 'from': 'id', 'format': 'bigint', 'required': true, 'min': 1},
        {'name': 'member_id', 'format': 'bigint'},
        {'name': 'issued_on', 'from': 'issue_d', 'format': 'month', 'required': true},
        {'name': 'loan_amount', 'from': 'loan_amnt', 'format': 'amount', 'required': true, 'min': 1},
        {'name': 'term_months', 'from': 'term', 'format': 'integer', 'suffix': ' months', 'required': true, 'min': 1, 'max': 480},
        {'name': 'annual_rate', 'from': 'int_rate', 'format': 'percent', 'sign': 'optional', 'unsigned': 'percent', 'min': 0, 'max': 1},
        {'name': 'lender_grade', 'from': 'sub_grade', 'format': 'integer', 'values': sub_grades},
        {'name': 'purpose', 'format': 'text', 'values': purposes},
        {'name': 'state', 'from': 'addr_state', 'format': 'text'},
        {'name': 'annual_income', 'from': 'annual_inc', 'format': 'amount'},
        {'name': 'income_verified', 'from': 'verification_status', 'format': 'boolean',
            'values': {'Verified': true, 'Source Verified': true, 'Not Verified': false}},
        {'name': 'employment_years', 'from': 'emp_length', 'format': 'double', 'values': years, 'missing': ['n/a']},
        {'name': 'home_ownership', 'format': 'text', 'values': {
            'OWN': 'own', 'MORTGAGE': 'mortgage', 'RENT': 'rent', 'OTHER': 'other', 'NONE': 'other', 'ANY': 'other'}},
        {'name': 'debt_to_income', 'from': 'dti', 'format': 'percent', 'sign': 'none', 'min': 0, 'max': 1000},
        {'name': 'score_low', 'from': 'fico_range_low', 'format': 'double', 'min': 0, 'max': 1000},
        {'name': 'score_high', 'from': 'fico_range_high', 'format': 'double', 'min': 0, 'max': 1000},
        {'name': 'n_open_accounts', 'from': 'open_acc', 'format': 'count'},
        {'name': 'n_total_accounts', 'from': 'total_acc', 'format': 'count'},
        {'name': 'n_inquiries_6m', 'from': 'inq_last_6mths', 'format': 'count'},
        {'name': 'n_delinquencies_2y', 'from': 'delinq_2yrs', 'format': 'count'},
        {'name': 'n_public_records', 'from': 'pub_rec', 'format': 'count'},
        {'name': 'n_bankruptcies', 'from': 'pub_rec_bankruptcies', 'format': 'count'},
        {'name': 'months_since_delinquency', 'from': 'mths_since_last_delinq', 'format': 'double', 'min': 0, 'max': 1200},
        {'name': 'months_since_public_record', 'from': 'mths_since_last_record', 'format': 'double', 'min': 0, 'max': 1200},
        {'name': 'revolving_balance', 'from': 'revol_bal', 'format': 'amount'},
        {'name': 'revolving_utilisation', 'from': 'revol_util', 'format': 'percent', 'sign': 'optional', 'unsigned': 'percent', 'min': 0, 'max': 1000},
        {'name': 'oldest_account_on', 'from': 'earliest_cr_line', 'format': 'month'},
        {'name': 'status', 'from': 'loan_status', 'format': 'text', 'values': statuses, 'required': true},
        {'name': 'last_payment_on', 'from': 'last_pymnt_d', 'format': 'month'},
        {'name': 'principal_repaid', 'from': 'total_rec_prncp', 'format': 'amount'},
        {'name': 'recovered', 'from': 'recoveries', 'format': 'amount'},
    ]) }}
{%- endmacro %}
