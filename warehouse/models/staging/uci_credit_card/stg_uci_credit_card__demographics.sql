-- One row per account holder.
with renamed as (
    select
        'uci-' || cast(account_id as {{ dbt.type_string() }}) as borrower_id,

        sex,
        2005 - age as birth_year,
        marital_status,
        education
    from {{ ref('stg_uci_credit_card__accounts') }}
    where _replaced_at is null
)

select
    {{ contract_columns('demographics') }}
from renamed
