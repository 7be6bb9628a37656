-- One row per borrower and statement.
with typed as (
    {{ typed_rows(source('raw', 'simulated_statements'), simulated_readings('statements'), key=['borrower_id', 'statement_on']) }}
)

select
    {{ contract_columns('statements') }}
from typed
