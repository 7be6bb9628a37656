{#- What version 2 of ftr_application adds to version 1: closed. -#}
{% macro features_since_2() -%}
-- what the loan costs, and what it leaves
    {{ within('payment_to_income * term_months / 12 - loan_to_income', 0, 100) }} as interest_to_income,
    {{ within('annual_income / 12 * (1 - debt_to_income_with_loan)', -1000000000, 1000000000) }} as residual_income,

    -- revolving credit, and whether the loan could refinance it
    {{ within('revolving_balance / nullif(revolving_utilisation, 0)', 0, 1000000000) }} as revolving_credit_limit,
    {{ within('revolving_credit_limit - revolving_balance', -1000000000, 1000000000) }} as unused_revolving_credit,
    {{ within('revolving_credit_limit / nullif(annual_income, 0)', 0, 100) }} as revolving_limit_to_income,
    {{ within('requested_amount / nullif(revolving_credit_limit, 0)', 0, 100) }} as loan_to_revolving_limit,
    {{ within('requested_amount / nullif(revolving_balance, 0)', 0, 100) }} as loan_to_revolving_balance,
    {{ within('(revolving_balance + requested_amount) / nullif(revolving_credit_limit + requested_amount, 0)', 0, 10) }}
        as utilisation_with_loan,
    {{ within('revolving_balance / nullif(n_open_accounts, 0)', 0, 1000000000) }} as revolving_balance_per_account,

    -- the credit history against its length
    {{ within('oldest_account_months / nullif(n_total_accounts, 0)', 0, 1200) }} as history_months_per_account,
    {{ within('n_inquiries_6m / nullif(n_open_accounts, 0)', 0, 100) }} as inquiries_per_account,
    months_since_public_record,

    -- how the borrower's accounts were run, in amounts: the trees need them beside their ratios
    {{ within('total_paid_3m', 0, 1000000000) }} as total_paid_3m,
    {{ within('total_paid_6m', 0, 1000000000) }} as total_paid_6m,
    max_paid_amount_6m,
    latest_paid_amount,
    latest_balance,
    max_balance_6m,

    -- how long and how lately they were past due
    total_months_past_due_6m / nullif(n_statements_6m, 0) as mean_months_past_due_6m,
    cast({{ within(months_between('late_statement_on_6m', 'decided_at'), 0, 1200) }} as integer)
        as months_since_late_statement
{%- endmacro %}
