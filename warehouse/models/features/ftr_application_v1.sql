-- One row per application: the features of version 1, each a scalar expression over that application's inputs.
-- Nothing else may stand here (no join, no aggregate, no subquery): the request path runs this same text, compiled.
select
    application_id,
    borrower_id,
    source,
    decided_at,

    {{ features_of([features_since_1()]) }}
from {{ ref('ftr_application_inputs') }}
