-- One row per resolved loan, and line that says something else. A loan still current, late, in grace or in default
-- has no known outcome, and no row.
with paid as (
    select
        *,
        -- a loan that never paid is dated as if its last payment had been at issue
        cast(coalesce(last_payment_on, issued_on) as timestamp) as last_paid_at,
        -- the line's file was written once the month of the newest payment by then was over
        {{ months_later('cast(max(last_payment_on) over (order by _loaded_at) as timestamp)', 1) }} as file_written_at
    from {{ ref('stg_lending_club__loans') }}
),

resolved as (
    select
        *,
        -- the month it happened in: repaid with the last payment, charged off about five months after it
        case
            when status = 'charged off' then {{ months_later('last_paid_at', 5) }}
            else last_paid_at
        end as resolved_at
    from paid
    where status in ('charged off', 'fully paid')
),

renamed as (
    select
        'lc-' || cast(loan_id as {{ dbt.type_string() }}) as application_id,

        status = 'charged off' as is_default,
        case
            when status = 'charged off'
                then greatest(loan_amount - coalesce(principal_repaid, 0) - coalesce(recovered, 0), 0)
            else 0
        end as loss_amount,

        -- never after the file itself, which may hold a charge-off (a bankruptcy, a settlement) that came sooner
        least(resolved_at, file_written_at) as outcome_at,
        -- Only months are published: what happened in May was certainly known when May was over, at the first moment
        -- of June. A decision dated that same moment does not count it (known_at < decided_at), though it might have.
        least({{ months_later('resolved_at', 1) }}, file_written_at) as known_at,

        _loaded_at,
        _replaced_at
    from resolved
)

select
    {{ contract_columns('outcomes') }}
from renamed
