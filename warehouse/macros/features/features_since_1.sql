{#- The features of version 1 of ftr_application, which every later version has too: closed. -#}
{% macro features_since_1() -%}
{#-
    With next to no interest 1 - pow(…) loses its digits: at 1e-14 a year, 10,000 over 36 months cost 260.6 a month, at 1e-17
    nothing that is known. There the first two terms of its series are right to a part in 1e-9.
-#}
{%- set payment_to_income -%}
    (
        case
            when annual_rate * term_months > 1e-4
                then requested_amount * (annual_rate / 12) / (1 - pow(1 + annual_rate / 12, -term_months))
            when annual_rate >= 0 then requested_amount / term_months * (1 + annual_rate / 12 * (term_months + 1) / 2)
        end / nullif(annual_income / 12, 0)
    )
{%- endset %}
{%- set utilisation_3m = 'total_balance_3m / nullif(total_credit_limit_3m, 0)' %}
{%- set utilisation_6m = 'total_balance_6m / nullif(total_credit_limit_6m, 0)' -%}
-- what is asked for
    requested_amount,
    term_months,
    annual_rate,
    lender_grade,
    purpose,
    credit_limit,

    -- who asks
    annual_income,
    income_verified,
    employment_years,
    home_ownership,
    {{ within('requested_amount / nullif(annual_income, 0)', 0, 100) }} as loan_to_income,
    {{ within(payment_to_income, 0, 10) }} as payment_to_income,
    {{ within('debt_to_income', 0, 10) }} as debt_to_income,
    {{ within('debt_to_income + ' ~ payment_to_income, 0, 20) }} as debt_to_income_with_loan,
    {{ within('revolving_balance / nullif(annual_income, 0)', 0, 100) }} as revolving_to_income,

    -- what the credit bureau knows
    bureau_score,
    cast({{ within(months_between('oldest_account_on', 'decided_at'), 0, 1200) }} as integer) as oldest_account_months,
    n_open_accounts,
    n_total_accounts,
    {{ within('n_open_accounts / nullif(n_total_accounts, 0)', 0, 1) }} as open_account_share,
    n_inquiries_6m,
    n_delinquencies_2y,
    months_since_delinquency,
    n_public_records,
    n_bankruptcies,
    revolving_balance,
    {{ within('revolving_utilisation', 0, 10) }} as revolving_utilisation,

    -- how the borrower's accounts were run
    coalesce(n_statements_6m, 0) as n_statements_6m,
    latest_months_past_due,
    max_months_past_due_3m,
    max_months_past_due_6m,
    n_late_statements_3m / nullif(n_statements_3m, 0) as late_share_3m,
    n_late_statements_6m / nullif(n_statements_6m, 0) as late_share_6m,
    {{ within('latest_balance / nullif(latest_credit_limit, 0)', -10, 10) }} as latest_utilisation,
    {{ within(utilisation_3m, -10, 10) }} as utilisation_3m,
    {{ within(utilisation_6m, -10, 10) }} as utilisation_6m,
    {{ within(utilisation_3m ~ ' - ' ~ utilisation_6m, -10, 10) }} as utilisation_trend,
    {{ within('latest_paid_amount / nullif(latest_balance, 0)', 0, 10) }} as latest_paid_share,
    {{ within('total_paid_3m / nullif(total_balance_3m, 0)', 0, 10) }} as paid_share_3m,
    {{ within('total_paid_6m / nullif(total_balance_6m, 0)', 0, 10) }} as paid_share_6m,
    {{ within('latest_paid_amount / nullif(latest_credit_limit, 0)', 0, 10) }} as latest_paid_to_limit,
    {{ within('total_paid_6m / nullif(total_credit_limit_6m, 0)', 0, 10) }} as paid_to_limit_6m,

    -- the borrower's own earlier loans
    coalesce(n_prior_applications, 0) as n_prior_applications,
    cast({{ within(months_between('prior_application_at', 'decided_at'), 0, 1200) }} as integer)
        as months_since_prior_application,
    coalesce(n_prior_defaults, 0) as n_prior_defaults,
    n_prior_defaults / nullif(n_prior_outcomes, 0) as prior_default_share,

    -- how loans like this one did lately, against all of the lender's: the lender's own rate says more about the
    -- calendar than about the applicant, and as a feature cost .004 of out-of-time AUC on Lending Club
    {{ within('coalesce(purpose_default_rate, source_default_rate) / nullif(source_default_rate, 0)', 0, 100) }}
        as purpose_relative_default_rate,
    {{ within('coalesce(region_default_rate, source_default_rate) / nullif(source_default_rate, 0)', 0, 100) }}
        as region_relative_default_rate
{%- endmacro %}
