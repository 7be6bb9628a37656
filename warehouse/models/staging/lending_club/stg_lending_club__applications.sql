-- One row per loan as applied for, and line that says something else of it. Nothing was written after the decision.
with renamed as (
    select
        'lc-' || cast(loan_id as {{ dbt.type_string() }}) as application_id,
        -- the public file blanks member_id: each loan is then its own borrower, without history
        case
            when member_id is null then 'lc-' || cast(loan_id as {{ dbt.type_string() }})
            else 'lc-member-' || cast(member_id as {{ dbt.type_string() }})
        end as borrower_id,

        loan_amount as requested_amount,
        term_months,
        annual_rate,
        lender_grade,
        annual_income,
        income_verified,
        employment_years,
        debt_to_income,
        (score_low + score_high) / 2 as bureau_score,
        n_open_accounts,
        n_total_accounts,
        n_inquiries_6m,
        n_delinquencies_2y,
        n_public_records,
        n_bankruptcies,
        months_since_delinquency,
        -- the file writes 0, beside no public record at all, for some loans of before 2011
        nullif(months_since_public_record, 0) as months_since_public_record,
        revolving_balance,
        revolving_utilisation,

        purpose,
        state as region,
        home_ownership,

        -- only the month of issue is published: deciding at its first moment can hide a fact, never leak one
        cast(issued_on as timestamp) as decided_at,
        cast(issued_on as timestamp) as known_at,
        oldest_account_on,

        _loaded_at,
        _replaced_at
    from {{ ref('stg_lending_club__loans') }}
)

select
    {{ contract_columns('applications', lacks=['credit_limit']) }}
from renamed
