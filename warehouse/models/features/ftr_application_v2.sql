-- One row per application: the features of version 2, each a scalar expression over that application's inputs: those of
-- version 1, what the loan would leave of income and of revolving credit, and accounts in amounts. Nothing else may
-- stand here (no join, no aggregate, no subquery): the request path runs this same text, compiled.
select
    application_id,
    borrower_id,
    source,
    decided_at,

    {{ features_of([features_since_1(), features_since_2()]) }}
from {{ ref('ftr_application_inputs') }}
