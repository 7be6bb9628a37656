-- One row per borrower.
with typed as (
    {{ typed_rows(source('raw', 'simulated_demographics'), simulated_readings('demographics'), key=['borrower_id']) }}
)

select
    {{ contract_columns('demographics') }}
from typed
