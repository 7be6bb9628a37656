{#-
    Point in time: a row counts for a decision only if it was known strictly before it. The one comparison behind every
    history and cohort feature. `points` has as_of and known_until: both the decision itself offline; online as_of is a
    moment after the source's clock, and known_until is after all that was loaded, restatements included.
-#}
{% macro known_before(rows, points) -%} {{ rows }}.known_at < {{ points }}.known_until {%- endmacro %}

{#- Whether a version is the one that was known before a point: the newest known before it. -#}
{% macro known_version(rows, points) -%}
    {{ known_before(rows, points) }}
    and {{ counts_until(rows) }} >= {{ points }}.known_until
{%- endmacro %}

{#-
    When a version stops to count; the newest never does. Compared with a column, this has one relation on each side:
    coalesce(superseded_at > column, true) has both in one expression, for which a left join compares each row with each.
-#}
{% macro counts_until(rows) -%}
    coalesce({{ rows }}.superseded_at, {{ never() }})
{%- endmacro %}
{% macro never() -%} cast('9999-12-31' as timestamp) {%- endmacro %}

{#-
    A statement counts as history for half a year after its day: one older than history_months() before a point is not
    read. is_recent: whether a statement is of the last months before a point.
-#}
{% macro history_months() -%} {{ return(6) }} {%- endmacro %}
{% macro is_recent(statements, points, months) -%}
    {{ statements }}.statement_on >= {{ months_later(points ~ '.as_of', -months) }}
{%- endmacro %}

{#-
    Whether an outcome is dated before the decision on its own loan, which its lender's file must have wrong: it counts
    nowhere, for a loan would be an earlier one of its own. By the month, where only months of outcomes are published.
-#}
{% macro is_misdated(outcomes, applications) -%}
    (
        {{ outcomes }}.known_at < {{ applications }}.decided_at
        or {{ outcomes }}.outcome_at < date_trunc('month', {{ applications }}.decided_at)
    )
{%- endmacro %}

{#- The borrower × statement columns of the last 3 and 6 months, and the borrower's own earlier loans. In table order. -#}
{% macro history_columns() -%}
    {{ return([
        'n_statements_3m', 'n_statements_6m', 'n_late_statements_3m', 'n_late_statements_6m',
        'max_months_past_due_3m', 'max_months_past_due_6m', 'total_balance_3m', 'total_balance_6m',
        'total_credit_limit_3m', 'total_credit_limit_6m', 'total_paid_3m', 'total_paid_6m',
        'total_months_past_due_6m', 'max_balance_6m', 'max_paid_amount_6m', 'late_statement_on_6m',
        'latest_months_past_due', 'latest_balance', 'latest_credit_limit', 'latest_paid_amount',
        'n_prior_applications', 'prior_application_at', 'n_prior_outcomes', 'n_prior_defaults',
    ]) }}
{%- endmacro %}

{#-
    History columns and latest_known_at (the newest contributing row), one row per point that has any history.
    `points`: a relation of point_id, borrower_id, as_of, known_until. Offline and online tables are this same text.
-#}
{% macro borrower_history(points) -%}
statement_history as (
    select
        points.point_id,
        {%- for months in (3, history_months()) %}
        {%- set recent = is_recent('statements', 'points', months) | trim %}
        cast(count(case when {{ recent }} then 1 end) as integer) as n_statements_{{ months }}m,
        cast(count(case when {{ recent }} and statements.months_past_due > 0 then 1 end) as integer)
            as n_late_statements_{{ months }}m,
        max(case when {{ recent }} then statements.months_past_due end) as max_months_past_due_{{ months }}m,
        {{ exact_sum('statements.balance', recent) }} as total_balance_{{ months }}m,
        {{ exact_sum('statements.credit_limit', recent) }} as total_credit_limit_{{ months }}m,
        {{ exact_sum('statements.paid_amount', recent) }} as total_paid_{{ months }}m,
        {%- endfor %}
        -- of history_months(), which the join keeps to
        cast(sum(statements.months_past_due) as integer) as total_months_past_due_6m,
        max(statements.balance) as max_balance_6m,
        max(statements.paid_amount) as max_paid_amount_6m,
        max(case when statements.months_past_due > 0 then statements.statement_on end) as late_statement_on_6m,
        {{ latest('statements.months_past_due', 'statements.statement_on') }} as latest_months_past_due,
        {{ latest('statements.balance', 'statements.statement_on') }} as latest_balance,
        {{ latest('statements.credit_limit', 'statements.statement_on') }} as latest_credit_limit,
        {{ latest('statements.paid_amount', 'statements.statement_on') }} as latest_paid_amount,
        max(statements.known_at) as latest_known_at
    from {{ points }} as points
    inner join {{ ref('int_statements') }} as statements
        on statements.borrower_id = points.borrower_id
        and {{ known_version('statements', 'points') }}
        and {{ is_recent('statements', 'points', history_months()) }}
    group by points.point_id
),

prior_applications as (
    select
        points.point_id,
        cast(count(*) as integer) as n_prior_applications,
        max(applications.decided_at) as prior_application_at,
        max(applications.known_at) as latest_known_at
    from {{ points }} as points
    inner join {{ ref('int_application_versions') }} as applications
        on applications.borrower_id = points.borrower_id
        and {{ known_version('applications', 'points') }}
        -- known when it was handed in, perhaps: the application at hand is none of the earlier ones, nor is one that waits
        and applications.decided_at < points.as_of
    group by points.point_id
),

outcomes_by_borrower as (
    select
        applications.borrower_id,
        outcomes.application_id,
        outcomes.is_default,
        outcomes.outcome_at,
        -- a version of the outcome while a version of its application gives it to the borrower
        greatest(outcomes.known_at, applications.known_at) as known_at,
        nullif(least({{ counts_until('outcomes') }}, {{ counts_until('applications') }}), {{ never() }}) as superseded_at,
        outcomes.loaded_at
    from {{ ref('int_outcome_versions') }} as outcomes
    inner join {{ ref('int_application_versions') }} as applications
        on applications.application_id = outcomes.application_id
        and applications.known_at < {{ counts_until('outcomes') }}
        and outcomes.known_at < {{ counts_until('applications') }}
    where {{ is_misdated('outcomes', 'applications') }} is not true
),

prior_outcomes as (
    select
        points.point_id,
        cast(count(*) as integer) as n_prior_outcomes,
        cast(count(case when outcomes.is_default then 1 end) as integer) as n_prior_defaults,
        max(outcomes.known_at) as latest_known_at
    from {{ points }} as points
    inner join outcomes_by_borrower as outcomes
        on outcomes.borrower_id = points.borrower_id
        and {{ known_version('outcomes', 'points') }}
    group by points.point_id
),

history as (
    select
        points.point_id,
        {%- for column in history_columns() %}
        {{ column }},
        {%- endfor %}
        -- greatest ignores what is null
        greatest(
            statement_history.latest_known_at, prior_applications.latest_known_at, prior_outcomes.latest_known_at
        ) as latest_known_at
    from {{ points }} as points
    left join statement_history on statement_history.point_id = points.point_id
    left join prior_applications on prior_applications.point_id = points.point_id
    left join prior_outcomes on prior_outcomes.point_id = points.point_id
)
{%- endmacro %}

{#-
    A sum of amounts that does not depend on the order of its rows: decimals, to the cent, are added exactly. An amount
    that does not fit stops the query: left out, the sum would be wrong without a word. The limits of core.int_statements,
    applied when a file is read and tested before any sum, keep it from coming this far.
-#}
{% macro exact_sum(amount, condition) -%}
    cast(sum(case when {{ condition }} then cast({{ amount }} as decimal(18, 2)) end) as double)
{%- endmacro %}

{#- The value in the latest row, also where it is missing there: DuckDB's max_by would give an older row's. -#}
{% macro latest(value, moment) -%} {{ adapter.dispatch('latest', 'loanlake')(value, moment) }} {%- endmacro %}
{% macro default__latest(value, moment) -%} arg_max_null({{ value }}, {{ moment }}) {%- endmacro %}
{% macro spark__latest(value, moment) -%} max_by({{ value }}, {{ moment }}) {%- endmacro %}
