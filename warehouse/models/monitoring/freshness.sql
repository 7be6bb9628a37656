-- One row per source: how far its data, its labels and its decisions reach.
with applications as (
    select
        source,
        count(*) as n_applications,
        max(decided_at) as newest_application_at
    from {{ ref('int_applications') }}
    group by source
),

statements as (
    select
        source,
        count(*) as n_statements,
        max(statement_on) as newest_statement_on
    from {{ ref('int_statements') }}
    where superseded_at is null
    group by source
),

labels as (
    select
        source,
        count(*) as n_labels,
        max(decided_at) as newest_label_decided_at
    from {{ ref('lbl_default') }}
    group by source
),

decisions as (
    select
        source,
        count(*) as n_decisions,
        max(decided_at) as newest_decision_at
    from {{ source('serving', 'predictions') }}
    group by source
),

loads as (
    select
        source,
        count(*) as n_files,
        max(loaded_at) as newest_load_at
    from {{ source('raw', 'files') }}
    group by source
),

quarantined as (
    select
        source,
        count(*) as n_quarantined
    from {{ ref('quarantine') }}
    group by source
)

select
    applications.source,
    clocks.clock_at,
    applications.n_applications,
    applications.newest_application_at,
    coalesce(statements.n_statements, 0) as n_statements,
    statements.newest_statement_on,
    coalesce(labels.n_labels, 0) as n_labels,
    labels.newest_label_decided_at,
    coalesce(decisions.n_decisions, 0) as n_decisions,
    decisions.newest_decision_at,
    coalesce(loads.n_files, 0) as n_files,
    loads.newest_load_at,
    coalesce(quarantined.n_quarantined, 0) as n_quarantined
from applications
inner join {{ ref('int_clocks') }} as clocks on clocks.source = applications.source
left join statements on statements.source = applications.source
left join labels on labels.source = applications.source
left join decisions on decisions.source = applications.source
left join loads on loads.source = applications.source
left join quarantined on quarantined.source = applications.source
