{#-
    Vintages counted a second time, by comparing each loan with each month on book: defaults and loans observed. Any
    difference fails.
-#}
{{ config(meta={'dagster': {'ref': {'name': 'vintages'}}}) }}
with lives as (
    select
        exposures.*,
        {{ months_later(
            'exposures.decided_at', 'applications.term_months + lenders.outcome_lag_months'
        ) }} as life_ends_at
    from {{ ref('lbl_exposures') }} as exposures
    inner join {{ ref('int_applications') }} as applications
        on applications.application_id = exposures.application_id
    inner join {{ ref('int_lenders') }} as lenders on lenders.source = exposures.source
),

-- an inner join, filtered: a left join on such conditions would compare each vintage with each loan of all months
recounted as (
    select
        vintages.source,
        vintages.vintage,
        vintages.months_on_book,
        count(*) as n_observed,
        count(
            case
                when
                    exposures.is_default
                    and outcomes.outcome_at
                    < {{ months_later('exposures.decided_at', 'vintages.months_on_book') }}
                    then 1
            end
        ) as n_defaults
    from {{ ref('vintages') }} as vintages
    inner join lives as exposures
        on exposures.source = vintages.source
        and cast(date_trunc('month', exposures.decided_at) as date) = vintages.vintage
        and (
            {{ months_later('exposures.decided_at', 'vintages.months_on_book') }} <= exposures.observed_until
            or exposures.life_ends_at <= exposures.observed_until
        )
    left join {{ ref('int_outcomes') }} as outcomes on outcomes.application_id = exposures.application_id
    -- every sixth month says as much, in a sixth of the time
    where vintages.months_on_book % 6 = 0
    group by vintages.source, vintages.vintage, vintages.months_on_book
)

select
    vintages.source,
    vintages.vintage,
    vintages.months_on_book,
    vintages.n_observed,
    vintages.n_defaults,
    coalesce(recounted.n_observed, 0) as n_observed_recounted,
    coalesce(recounted.n_defaults, 0) as n_defaults_recounted
from {{ ref('vintages') }} as vintages
left join recounted
    on recounted.source = vintages.source
    and recounted.vintage = vintages.vintage
    and recounted.months_on_book = vintages.months_on_book
where
    vintages.months_on_book % 6 = 0
    and (
        vintages.n_observed <> coalesce(recounted.n_observed, 0)
        or vintages.n_defaults <> coalesce(recounted.n_defaults, 0)
    )
