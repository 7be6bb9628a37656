{#-
    History counted a second time, in other words than the macro's, for one borrower in sixteen. Any difference fails:
    a row that was known at the decision or later would be one too many.
-#}
{{ config(meta={'dagster': {'ref': {'name': 'ftr_application_history'}}}) }}
with sampled as (
    select
        application_id,
        borrower_id,
        decided_at
    from {{ ref('int_applications') }}
    where substr(md5(borrower_id), 1, 1) = '0'
),

known_versions as (
    select
        sampled.application_id,
        sampled.decided_at,
        statements.*,
        row_number() over (
            partition by sampled.application_id, statements.statement_on
            order by statements.known_at desc, statements.loaded_at desc
        ) as versions_back
    from sampled
    inner join {{ ref('int_statements') }} as statements on statements.borrower_id = sampled.borrower_id
    where
        statements.known_at < sampled.decided_at
        and statements.statement_on >= {{ months_later('sampled.decided_at', -6) }}
),

statements_back as (
    select
        application_id,
        statement_on,
        months_past_due,
        balance,
        paid_amount,
        row_number() over (partition by application_id order by statement_on desc) as n_back
    from known_versions
    -- the newest that was known, unless its file had taken it back
    where versions_back = 1 and (superseded_at is null or superseded_at >= decided_at)
),

statements as (
    select
        application_id,
        count(*) as n_statements,
        max(months_past_due) as max_months_past_due,
        sum(months_past_due) as total_months_past_due,
        max(balance) as max_balance,
        max(paid_amount) as max_paid_amount,
        min(case when months_past_due > 0 then n_back end) as n_back_late,
        sum(try_cast(paid_amount as decimal(18, 2))) as total_paid,
        max(case when n_back = 1 then paid_amount end) as latest_paid_amount
    from statements_back
    group by application_id
),

late_statements as (
    select
        statements.application_id,
        statements_back.statement_on
    from statements
    inner join statements_back
        on statements_back.application_id = statements.application_id
        and statements_back.n_back = statements.n_back_late
),

-- the newest version of each application of the lender's that was known, whoever's it was before
known_applications as (
    select
        sampled.application_id,
        sampled.borrower_id as sampled_borrower_id,
        sampled.decided_at as sampled_at,
        earlier.application_id as earlier_id,
        earlier.borrower_id,
        earlier.decided_at,
        earlier.superseded_at,
        row_number() over (
            partition by sampled.application_id, earlier.application_id
            order by earlier.known_at desc, earlier.loaded_at desc
        ) as versions_back
    from sampled
    inner join (
        select distinct borrower_id, application_id from {{ ref('int_application_versions') }}
    ) as ever on ever.borrower_id = sampled.borrower_id
    inner join {{ ref('int_application_versions') }} as earlier on earlier.application_id = ever.application_id
    where earlier.known_at < sampled.decided_at
),

own_applications as (
    select *
    from known_applications
    where
        versions_back = 1
        and borrower_id = sampled_borrower_id
        and (superseded_at is null or superseded_at >= sampled_at)
),

earlier_applications as (
    select
        application_id,
        count(*) as n_applications,
        max(decided_at) as decided_at
    from own_applications
    where decided_at < sampled_at
    group by application_id
),

known_outcomes as (
    select
        earlier.application_id,
        earlier.sampled_at as decided_at,
        earlier.decided_at as earlier_decided_at,
        outcomes.known_at,
        outcomes.superseded_at,
        outcomes.outcome_at,
        outcomes.is_default,
        row_number() over (
            partition by earlier.application_id, outcomes.application_id
            order by outcomes.known_at desc, outcomes.loaded_at desc
        ) as versions_back
    from own_applications as earlier
    inner join {{ ref('int_outcome_versions') }} as outcomes on outcomes.application_id = earlier.earlier_id
    where outcomes.known_at < earlier.sampled_at and earlier.earlier_id <> earlier.application_id
),

earlier_outcomes as (
    select
        application_id,
        count(*) as n_outcomes,
        count(case when is_default then 1 end) as n_defaults
    from known_outcomes
    where
        versions_back = 1
        and (superseded_at is null or superseded_at >= decided_at)
        -- one dated before its own decision counts nowhere
        and known_at >= earlier_decided_at
        and outcome_at >= date_trunc('month', earlier_decided_at)
    group by application_id
)

select
    history.application_id,
    history.n_statements_6m,
    statements.n_statements,
    history.n_prior_applications,
    earlier_applications.n_applications,
    history.n_prior_defaults,
    earlier_outcomes.n_defaults
from sampled
inner join {{ ref('ftr_application_history') }} as history on history.application_id = sampled.application_id
left join statements on statements.application_id = sampled.application_id
left join late_statements on late_statements.application_id = sampled.application_id
left join earlier_applications on earlier_applications.application_id = sampled.application_id
left join earlier_outcomes on earlier_outcomes.application_id = sampled.application_id
where
    coalesce(history.n_statements_6m, 0) <> coalesce(statements.n_statements, 0)
    or coalesce(history.max_months_past_due_6m, -1) <> coalesce(statements.max_months_past_due, -1)
    or coalesce(history.total_paid_6m, -1) <> coalesce(cast(statements.total_paid as double), -1)
    or history.latest_paid_amount is distinct from statements.latest_paid_amount
    or history.total_months_past_due_6m is distinct from statements.total_months_past_due
    or history.max_balance_6m is distinct from statements.max_balance
    or history.max_paid_amount_6m is distinct from statements.max_paid_amount
    or history.late_statement_on_6m is distinct from late_statements.statement_on
    or coalesce(history.n_prior_applications, 0) <> coalesce(earlier_applications.n_applications, 0)
    or history.prior_application_at is distinct from earlier_applications.decided_at
    or coalesce(history.n_prior_outcomes, 0) <> coalesce(earlier_outcomes.n_outcomes, 0)
    or coalesce(history.n_prior_defaults, 0) <> coalesce(earlier_outcomes.n_defaults, 0)
