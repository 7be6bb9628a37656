-- One row per application that was observed for some time: for how long, and whether it has defaulted in that time.
with windows as (
    {{ label_windows() }}
),

followed as (
    select
        windows.application_id,
        windows.source,
        windows.decided_at,
        windows.clock_at,
        labels.is_default as is_labelled_default,
        -- a default of the whole life is charged off within the lag after it; one within a window became known then
        case
            when windows.has_window then windows.window_ends_at
            else {{ months_later('windows.window_ends_at', 'windows.lag_months') }}
        end as horizon_at,
        -- Later outcomes are known of some loans only. Were they let in without the time in which the others did not
        -- default, young loans would look worse than they are.
        {{ months_later('windows.clock_at', '-windows.window_lag_months') }} as all_known_until
    from windows
    left join {{ ref('lbl_default') }} as labels on labels.application_id = windows.application_id
    where
        windows.is_dated
        -- a mature loan without a label is neither good nor bad
        and (
            labels.application_id is not null
            or {{ months_later('windows.window_ends_at', 'windows.lag_months') }} > windows.clock_at
        )
),

observed as (
    select
        *,
        -- of a mature loan every default within its window is known
        case
            when is_labelled_default is null then all_known_until
            else greatest(all_known_until, horizon_at)
        end as observed_until
    from followed
),

defaulted as (
    select
        observed.*,
        outcomes.outcome_at,
        coalesce(
            outcomes.is_default
            and (observed.is_labelled_default or outcomes.outcome_at < observed.observed_until),
            false
        ) as is_default
    from observed
    left join {{ ref('int_outcome_versions') }} as outcomes
        on outcomes.application_id = observed.application_id
        and {{ known_at_clock('outcomes', 'observed.clock_at') }}
    where
        observed.observed_until > observed.decided_at
        and {{ is_misdated('outcomes', 'observed') }} is not true
)

select
    application_id,
    source,
    decided_at,
    is_labelled_default is null as is_open,
    is_default,
    -- a repaid loan stays observed: it cannot default any more, and counts among those that did not (Fine, Gray 1999)
    greatest(
        {{ seconds_between('decided_at', 'case when is_default then outcome_at else observed_until end') }}
        / {{ seconds_between('decided_at', 'horizon_at') }},
        0
    ) as observed_windows,
    observed_until
from defaulted
