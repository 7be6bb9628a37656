-- One row per application and line that says something else of it.
with typed as (
    {{ typed_rows(source('raw', 'simulated_applications'), **simulated_file('applications')) }}
),

known as (
    select
        *,
        decided_at as known_at
    from typed
)

select
    {{ contract_columns('applications', lacks=[
        'lender_grade', 'n_bankruptcies', 'months_since_delinquency', 'months_since_public_record', 'credit_limit',
    ]) }}
from known
