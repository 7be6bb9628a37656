-- One row per application.
with typed as (
    {{ typed_rows(source('raw', 'simulated_applications'), simulated_readings('applications'), key=['application_id']) }}
)

select
    {{ contract_columns('applications', lacks=['lender_grade', 'n_bankruptcies', 'months_since_delinquency', 'credit_limit']) }}
from (
    select *, decided_at as known_at from typed
) as typed
