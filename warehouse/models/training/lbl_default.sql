-- One row per mature application: whether it defaulted, and since when that may be used.
{%- set in_time = 'coalesce(outcomes.is_default and outcomes.outcome_at < mature.window_ends_at, false)' %}
with windows as (
    {{ label_windows() }}
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
        case when mature.has_window then {{ in_time }} else outcomes.is_default end as is_default,
        not mature.has_window or {{ in_time }} as is_by_outcome,
        (mature.has_window or outcomes.application_id is not null)
        -- nor is a loan good whose default is dated before its decision: what became of it is not known
        and {{ is_misdated('outcomes', 'mature') }} is not true as is_known
    from mature
    left join {{ ref('int_outcome_versions') }} as outcomes
        on outcomes.application_id = mature.application_id
        and {{ known_at_clock('outcomes', 'mature.clock_at') }}
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
