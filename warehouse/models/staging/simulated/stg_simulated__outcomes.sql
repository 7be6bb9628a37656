-- One row per application whose outcome is known, and line that says something else of it.
with typed as (
    {{ typed_rows(source('raw', 'simulated_outcomes'), **simulated_file('outcomes')) }}
)

select
    {{ contract_columns('outcomes') }}
from typed
