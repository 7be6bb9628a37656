-- One row per account and line of it: whether October's payment was missed, known when October was over.
with renamed as (
    select
        'uci-' || cast(account_id as {{ dbt.type_string() }}) as application_id,

        is_default,

        timestamp '2005-10-31 00:00:00' as outcome_at,
        timestamp '2005-11-01 00:00:00' as known_at,

        _loaded_at,
        _replaced_at
    from {{ ref('stg_uci_credit_card__accounts') }}
)

select
    {{ contract_columns('outcomes', lacks=['loss_amount']) }}
from renamed
