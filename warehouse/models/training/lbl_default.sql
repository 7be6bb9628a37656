-- One row per mature application: whether it defaulted, and since when that may be used.
{%- set lags = var('outcome_lag_months') %}
{%- set window = var('label_window_months') %}
with windows as (
    select
        applications.application_id,
        applications.source,
        applications.decided_at,
        {%- if window is none %}
        {{ months_later('applications.decided_at', 'applications.term_months') }} as window_ends_at,
        {%- else %}
        {{ months_later('applications.decided_at', window) }} as window_ends_at,
        {%- endif %}
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

-- The window's end decides, not the outcome: were early outcomes let in as they come, young vintages would be all defaults.
mature as (
    select
        *,
        {{ months_later('window_ends_at', 'lag_months') }} as matured_at
    from windows
    where {{ months_later('window_ends_at', 'lag_months') }} <= clock_at
)

select
    mature.application_id,
    mature.source,
    mature.decided_at,
    {%- if window is none %}
    outcomes.is_default,
    outcomes.outcome_at,
    outcomes.known_at,
    {%- else %}
    -- no default by the window's end is a good outcome, also of a loan still running
    coalesce(outcomes.is_default and outcomes.outcome_at < mature.window_ends_at, false) as is_default,
    case when outcomes.is_default and outcomes.outcome_at < mature.window_ends_at then outcomes.outcome_at end as outcome_at,
    case when outcomes.is_default and outcomes.outcome_at < mature.window_ends_at then outcomes.known_at else mature.matured_at end as known_at,
    {%- endif %}
    mature.matured_at
from mature
{%- if window is none %}
-- still unresolved after its whole life and the lag: no label, for neither answer would be true
inner join {{ ref('int_outcomes') }} as outcomes
    on outcomes.application_id = mature.application_id
    and outcomes.known_at <= mature.clock_at
{%- else %}
left join {{ ref('int_outcomes') }} as outcomes
    on outcomes.application_id = mature.application_id
    and outcomes.known_at <= mature.clock_at
{%- endif %}
