-- One row per figure of monitoring.data_profile that can be judged, beside what the same lender's earlier months allow.
{%- set limits = var('data_checks') %}
{%- set earlier = 'order by month rows between ' ~ limits.window_months ~ ' preceding and 1 preceding' %}
{%- set of_season = 'order by month rows between unbounded preceding and 1 preceding' %}
with profile as (
    select
        profile.*,
        -- something of a later month is known of the lender: nothing more of this month is on its way
        {{ months_later('profile.month', 1) }} <= clocks.clock_at as is_finished,
        {{ month_of('clocks.clock_at') }} as clock_month
    from {{ ref('data_profile') }} as profile
    inner join {{ ref('int_clocks') }} as clocks on clocks.source = profile.source
),

-- volume: a month without any row has no row in the profile, and is a fall to zero
calendar as (
    select
        source,
        entity,
        cast(unnest(generate_series(
            min(month), greatest(max(month), max(clock_month)), interval 1 month
        )) as date) as month,
        max(clock_month) as clock_month
    from profile
    where figure = 'volume'
    group by source, entity
),

volumes as (
    select
        calendar.source,
        calendar.entity,
        calendar.month,
        calendar.month < calendar.clock_month as is_finished,
        coalesce(profile.n_rows, 0) as n_rows,
        ln(greatest(coalesce(profile.n_rows, 0), 0.5)) as size
    from calendar
    left join profile
        on profile.source = calendar.source
        and profile.entity = calendar.entity
        and profile.month = calendar.month
        and profile.figure = 'volume'
),

-- growth: a month is compared with the six before it, and this ratio with those of earlier months, which grew as well
grown as (
    select
        *,
        median(size) over level as recent_size,
        case
            when count(*) over level = {{ limits.level_months }} then size - median(size) over level
        end as growth
    from volumes
    window level as (
        partition by source, entity order by month rows between {{ limits.level_months }} preceding and 1 preceding
    )
),

volume_history as (
    select
        *,
        median(growth) over earlier as usual_growth,
        {{ limits.mad_to_deviation }} * mad(growth) over earlier as spread,
        count(growth) over earlier as n_earlier_months,
        case
            when count(growth) over season >= {{ limits.season_years }} then median(growth) over season
        end as season_growth
    from grown
    window
        earlier as (partition by source, entity {{ earlier }}),
        season as (partition by source, entity, extract('month' from month) {{ of_season }})
),

volume_limits as (
    select
        source,
        entity,
        month,
        is_finished,
        n_rows,
        n_earlier_months,
        exp(recent_size + usual_growth) as expected,
        exp(recent_size + least(usual_growth, coalesce(season_growth, usual_growth))) as least_expected,
        exp(recent_size + greatest(usual_growth, coalesce(season_growth, usual_growth))) as most_expected,
        greatest(ln({{ limits.volume_times }}), {{ limits.deviations }} * spread) as width,
        -- by chance alone a count's square root has a standard deviation of 1/2; the medians that the expected count is
        -- made of, of counts and of ratios, vary too: 1.57 is the variance of a median for that of a mean
        {{ limits.deviations }} / 2.0
        * sqrt((1 + 1.57 / {{ limits.level_months }}) * (1 + 1.57 / n_earlier_months)) as by_chance
    from volume_history
    where n_earlier_months >= {{ limits.min_months }}
),

volume as (
    select
        source,
        entity,
        month,
        'volume' as figure,
        '(rows)' as column_name,
        cast(null as {{ dbt.type_string() }}) as category,
        n_rows,
        is_finished,
        n_earlier_months,
        cast(n_rows as double) as value,
        expected,
        -- less than usual is not a fall while the month lasts
        case
            when is_finished
                then floor(least(
                    least_expected * exp(-width),
                    power(greatest(sqrt(least_expected) - by_chance, 0), 2)
                ))
        end as low,
        greatest(most_expected * exp(width), power(sqrt(most_expected) + by_chance, 2)) as high
    from volume_limits
),

-- shares and delays
history as (
    select
        *,
        median(value) over level as usual,
        {{ limits.mad_to_deviation }} * mad(value) over earlier as spread,
        count(*) over earlier as n_earlier_months,
        case
            when count(*) over season >= {{ limits.season_years }} then median(value) over season
        end as season
    from profile
    where figure in ('missing', 'duplicates', 'delay')
    window
        level as (
            partition by source, entity, figure, column_name
            order by month rows between {{ limits.level_months }} preceding and 1 preceding
        ),
        earlier as (partition by source, entity, figure, column_name {{ earlier }}),
        season as (partition by source, entity, figure, column_name, extract('month' from month) {{ of_season }})
),

-- a share that was never seen may still be one of as many rows as the month has
possible as (
    select
        *,
        least(greatest(usual, 1.0 / (n_rows + 1)), n_rows / (n_rows + 1.0)) as probability
    from history
    where n_earlier_months >= {{ limits.min_months }}
),

widths as (
    select
        *,
        greatest(
            case figure
                when 'missing' then {{ limits.missing_share_change }}
                when 'duplicates' then {{ limits.duplicate_share_change }}
                else {{ limits.delay_days }}
            end,
            {{ limits.deviations }} * spread,
            {{ limits.deviations }} * case
                when figure = 'delay' then coalesce(standard_error, 0)
                else sqrt(probability * (1 - probability) / n_rows)
            end
        ) as width
    from possible
),

ratios as (
    select
        source,
        entity,
        month,
        figure,
        column_name,
        category,
        n_rows,
        is_finished,
        n_earlier_months,
        value,
        usual as expected,
        case when figure = 'missing' then greatest(least(usual, coalesce(season, usual)) - width, 0) end as low,
        greatest(usual, coalesce(season, usual)) + width as high
    from widths
),

-- values that were hardly seen before
seen as (
    select
        source,
        entity,
        month,
        column_name,
        category,
        n_rows,
        is_finished,
        n,
        value,
        sum(n) over before as n_seen
    from profile
    where figure = 'category'
    window before as (
        partition by source, entity, column_name, category
        order by month rows between unbounded preceding and 1 preceding
    )
),

rows_before as (
    select
        source,
        entity,
        month,
        sum(n_rows) over before as n_rows_before,
        count(*) over before as n_earlier_months
    from profile
    where figure = 'volume'
    window before as (partition by source, entity order by month rows between unbounded preceding and 1 preceding)
),

new_values as (
    select
        seen.*,
        rows_before.n_earlier_months,
        coalesce(seen.n_seen, 0) / cast(rows_before.n_rows_before as double) as expected,
        -- what never happened in n rows has, with 95 % confidence, a probability below 3 / n (the rule of three)
        seen.n_rows * (coalesce(seen.n_seen, 0) + 3) / cast(rows_before.n_rows_before as double) as most_expected
    from seen
    inner join rows_before
        on rows_before.source = seen.source
        and rows_before.entity = seen.entity
        and rows_before.month = seen.month
    where
        rows_before.n_earlier_months >= {{ limits.min_months }}
        and coalesce(seen.n_seen, 0) < {{ limits.hardly_seen_share }} * rows_before.n_rows_before
),

categories as (
    select
        source,
        entity,
        month,
        'category' as figure,
        column_name,
        category,
        n_rows,
        is_finished,
        n_earlier_months,
        value,
        expected,
        cast(null as double) as low,
        greatest(
            {{ limits.new_category_share }},
            power(sqrt(most_expected) + {{ limits.deviations }} / 2.0, 2) / n_rows
        ) as high
    from new_values
),

judged as (
    select * from volume
    union all
    select * from ratios
    union all
    select * from categories
)

select
    source,
    entity,
    month,
    figure,
    column_name,
    coalesce(category, '') as category,
    n_rows,
    is_finished,
    cast(n_earlier_months as integer) as n_earlier_months,
    value,
    expected,
    low,
    high,
    coalesce(value < low, false) or value > high as is_anomaly,
    case figure
        when 'volume'
            then
                (coalesce(value < low, false) and value * {{ limits.severe_times }} < expected)
                or (value > high and value > {{ limits.severe_times }} * expected)
        when 'missing' then value > high and value - expected >= {{ limits.severe_missing_change }}
        else false
    end as is_severe
from judged
