-- One row per borrower.
with typed as (
    {{ typed_rows(source('raw', 'simulated_demographics'), **simulated_file('demographics')) }}
)

select
    {{ contract_columns('demographics') }}
from typed
where _replaced_at is null
