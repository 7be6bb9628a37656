-- One row per month and pair of states: how many borrowers went from one to the other by the following month.
{%- set in_month = "date_trunc('month', statements.statement_on)" %}
with statements as (
    select
        source,
        borrower_id,
        month,
        case
            when months_past_due >= 4 then '4_or_more'
            when months_past_due > 0 then cast(months_past_due as {{ dbt.type_string() }})
            when months_past_due = 0 then 'current'
            else 'unknown'
        end as state,
        balance
    from (
        select
            statements.*,
            {{ month_of('statements.statement_on') }} as month,
            row_number() over (
                partition by statements.borrower_id, {{ in_month }} order by statements.statement_on desc
            ) as statements_back
        from {{ ref('int_statements') }} as statements
        where
            statements.superseded_at is null
            and (
                {{ in_built_months('statements.statement_on') }}
                or {{ in_built_months(months_later(in_month, -1)) }}
            )
    ) as ranked
    where statements_back = 1
),

-- a borrower with several loans has defaulted if one of them has
outcomes as (
    select
        applications.borrower_id,
        {{ month_of('outcomes.outcome_at') }} as month,
        max(case when outcomes.is_default then 1 else 0 end) as is_default
    from {{ ref('int_outcomes') }} as outcomes
    inner join {{ ref('int_applications') }} as applications on applications.application_id = outcomes.application_id
    where {{ in_built_months(months_later("date_trunc('month', outcomes.outcome_at)", -1)) }}
    group by applications.borrower_id, {{ month_of('outcomes.outcome_at') }}
),

rolled as (
    select
        statements.source,
        statements.month,
        statements.state as from_state,
        case
            when outcomes.is_default = 1 then 'defaulted'
            when next_statements.state is not null then next_statements.state
            when outcomes.is_default = 0 then 'repaid'
            else 'no_statement'
        end as to_state,
        statements.balance
    from statements
    inner join {{ ref('int_clocks') }} as clocks
        on clocks.source = statements.source
        -- the following month is over
        and {{ months_later('statements.month', 2) }} <= clocks.clock_at
    left join statements as next_statements
        on next_statements.borrower_id = statements.borrower_id
        and next_statements.month = {{ months_later('statements.month', 1) }}
    left join outcomes
        on outcomes.borrower_id = statements.borrower_id
        and outcomes.month = {{ months_later('statements.month', 1) }}
    where {{ in_built_months('statements.month') }}
),

counted as (
    select
        source,
        month,
        from_state,
        to_state,
        count(*) as n_borrowers,
        {{ exact_sum('balance', 'true') }} as balance
    from rolled
    group by source, month, from_state, to_state
)

select
    source,
    month,
    from_state,
    to_state,
    n_borrowers,
    cast(n_borrowers as double) / sum(n_borrowers) over (partition by source, month, from_state) as borrower_share,
    balance
from counted
