-- One row per statement behind one application's n_late_statements_6m, beside the value and its recount.
-- Another application: dbt compile --vars '{application_id: …}'. By default one with most late statements.
{%- set application_id = var('application_id', none) %}
with application as (
    select
        application_id,
        borrower_id,
        decided_at as as_of,
        decided_at as known_until,
        coalesce(n_late_statements_6m, 0) as n_late_statements_6m
    from {{ ref('ftr_application_inputs') }}
    {%- if application_id is not none %}
    where application_id = '{{ application_id | replace("'", "''") }}'
    {%- endif %}
    order by n_late_statements_6m desc, decided_at desc, application_id asc
    limit 1
)

select
    application.application_id,
    application.as_of as decided_at,
    application.n_late_statements_6m,
    cast(sum(cast(statements.months_past_due >= 1 as integer)) over () as integer) as n_recounted,
    statements.borrower_id,
    statements.statement_on,
    statements.known_at,
    statements.months_past_due,
    statements.balance
from application
inner join {{ ref('int_statements') }} as statements
    on statements.borrower_id = application.borrower_id
    and {{ known_version('statements', 'application') }}
    and {{ is_recent('statements', 'application', history_months()) }}
order by statements.statement_on
