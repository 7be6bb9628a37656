-- One row per account, month and line of it, April to September 2005.
with renamed as (
    {% for month in uci_credit_card_months() %}
    select
        'uci-' || cast(account_id as {{ dbt.type_string() }}) as borrower_id,

        credit_limit,
        {{ month.bill }} as balance,
        {{ month.paid }} as paid_amount,
        -- -2 (card not used), -1 (paid in full) and 0 (revolving, minimum paid) are all no month past due
        greatest({{ month.status }}, 0) as months_past_due,

        date '{{ month.ended_on }}' as statement_on,
        timestamp '{{ month.ended_on }} 00:00:00' as known_at,

        _loaded_at,
        _replaced_at
    from {{ ref('stg_uci_credit_card__accounts') }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    {{ contract_columns('statements') }}
from renamed
