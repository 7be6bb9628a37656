-- One row per mature application: whether it defaulted, and since when that may be used.
{%- set window = var('label_window_months') %}
{%- set lags = var('window_lag_months' if window else 'outcome_lag_months') %}
{%- set in_time = 'coalesce(outcomes.is_default and outcomes.outcome_at < mature.window_ends_at, false)' %}
with windows as (
    select
        applications.application_id,
        applications.source,
        applications.decided_at,
        {{ months_later('applications.decided_at', window or 'applications.term_months') }} as window_ends_at,
        case
            {%- for source, months in lags.items() if source != 'default' %}
            when applications.source = '{{ source }}' then {{ months }}
            {%- endfor %}
            when true then {{ lags['default'] }}
        end as lag_months,
        clocks.clock_at
    from {{ ref('int_applications') }} as applications
    inner join {{ ref('int_clocks') }} as clocks on clocks.source = applications.source
),

-- The window's end decides, not the outcome: were early outcomes let in as they come, young vintages would be all
-- defaults.
mature as (
    select
        *,
        {{ months_later('window_ends_at', 'lag_months') }} as matured_at
    from windows
    where {{ months_later('window_ends_at', 'lag_months') }} <= clock_at
),

labelled as (
    select
        mature.application_id,
        mature.source,
        mature.decided_at,
        mature.matured_at,
        outcomes.outcome_at,
        outcomes.known_at,
        -- within a window, no default by its end is a good outcome, also of a loan still running; over the whole life,
        -- a loan still unresolved after it and the lag has no label, for neither answer would be true
        {{ in_time if window else 'outcomes.is_default' }} as is_default,
        {{ in_time if window else 'true' }} as is_by_outcome,
        {{ 'true' if window else 'outcomes.application_id is not null' }}
        -- nor is a loan good whose default is dated before its decision: what became of it is not known
        and {{ is_misdated('outcomes', 'mature') }} is not true as is_known
    from mature
    left join {{ ref('int_outcomes') }} as outcomes
        on outcomes.application_id = mature.application_id
        and outcomes.known_at <= mature.clock_at
)

select
    application_id,
    source,
    decided_at,
    is_default,
    case when is_by_outcome then outcome_at end as outcome_at,
    case when is_by_outcome then known_at else matured_at end as known_at,
    matured_at
from labelled
where is_known
