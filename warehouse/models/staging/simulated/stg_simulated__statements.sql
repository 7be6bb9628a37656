-- One row per borrower and statement.
with typed as (
    {{ typed_rows(source('raw', 'simulated_statements'), **simulated_file('statements')) }}
)

select
    {{ contract_columns('statements') }}
from typed
