-- One row per lender and kind of file: how often files arrive, and since when the next one is late by today's date.
{%- set limits = var('data_checks') %}
with days as (
    -- several files of a day are one arrival
    select
        source,
        entity,
        cast(date_trunc('day', loaded_at) as date) as arrived_on
    from {{ source('raw', 'files') }}
    group by source, entity, cast(date_trunc('day', loaded_at) as date)
),

gaps as (
    select
        source,
        entity,
        arrived_on,
        date_diff(
            'day', lag(arrived_on) over (partition by source, entity order by arrived_on), arrived_on
        ) as gap_days,
        row_number() over (partition by source, entity order by arrived_on desc) as arrivals_back
    from days
),

rhythm as (
    select
        source,
        entity,
        count(*) as n_arrivals,
        max(arrived_on) as newest_arrival_on,
        quantile_cont(gap_days, 0.5) filter (where arrivals_back <= {{ limits.rhythm_gaps }}) as usual_gap_days,
        quantile_cont(gap_days, 0.9) filter (where arrivals_back <= {{ limits.rhythm_gaps }}) as long_gap_days
    from gaps
    group by source, entity
),

due as (
    select
        *,
        case
            when n_arrivals >= {{ limits.min_arrivals }}
                then cast(ceil({{ limits.late_times }} * long_gap_days + {{ limits.late_days }}) as integer)
        end as allowed_days
    from rhythm
)

select
    due.source,
    due.entity,
    due.n_arrivals,
    due.newest_arrival_on,
    clocks.clock_at as known_until,
    due.usual_gap_days,
    due.allowed_days,
    date_diff('day', due.newest_arrival_on, {{ today() }}) as days_since_arrival,
    due.newest_arrival_on + due.allowed_days as late_from,
    coalesce(date_diff('day', due.newest_arrival_on, {{ today() }}) > due.allowed_days, false) as is_late
from due
left join {{ ref('int_clocks') }} as clocks on clocks.source = due.source
