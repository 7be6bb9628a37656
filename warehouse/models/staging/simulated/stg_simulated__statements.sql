-- One row per borrower, statement and line that says something else of it.
with typed as (
    {{ typed_rows(source('raw', 'simulated_statements'), **simulated_file('statements')) }}
)

select
    {{ contract_columns('statements') }}
from typed
