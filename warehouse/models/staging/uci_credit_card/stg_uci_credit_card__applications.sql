-- One row per account and line of it: renewing its limit for one month, decided when September's statement was known.
with renamed as (
    select
        'uci-' || cast(account_id as {{ dbt.type_string() }}) as application_id,
        'uci-' || cast(account_id as {{ dbt.type_string() }}) as borrower_id,

        credit_limit as requested_amount,
        1 as term_months,
        credit_limit,

        timestamp '2005-10-01 00:00:00' as decided_at,
        timestamp '2005-10-01 00:00:00' as known_at,

        _loaded_at,
        _replaced_at
    from {{ ref('stg_uci_credit_card__accounts') }}
)

select
    {{ contract_columns('applications', lacks=[
        'annual_rate', 'lender_grade', 'purpose', 'region', 'annual_income', 'income_verified', 'employment_years',
        'home_ownership', 'debt_to_income', 'bureau_score', 'n_open_accounts', 'n_total_accounts', 'n_inquiries_6m',
        'n_delinquencies_2y', 'n_public_records', 'n_bankruptcies', 'months_since_delinquency',
        'months_since_public_record', 'revolving_balance', 'revolving_utilisation', 'oldest_account_on',
    ]) }}
from renamed
