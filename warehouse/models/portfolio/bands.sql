-- One row per model version, month of decision and band: what was decided, what was expected, and what came of it.
{{ config(materialized='keyed', unique_key=['source', 'model_name', 'model_version', 'is_backfill', 'month', 'band']) }}
{%- set version = 'source, model_name, model_version, is_backfill' %}
with losses as (
    {{ losses_given_default() }}
),

decisions as (
    select
        predictions.source,
        predictions.model_name,
        predictions.model_version,
        predictions.route = 'backfill' as is_backfill,
        {{ month_of('predictions.decided_at') }} as month,
        predictions.band,
        predictions.decision,
        predictions.probability,
        labels.is_default,
        case
            when labels.is_default is not null
                then predictions.probability * losses.loss_given_default * applications.requested_amount
        end as expected_loss,
        case
            when labels.is_default
                then coalesce(outcomes.loss_amount, losses.loss_given_default * applications.requested_amount)
            when not labels.is_default then cast(0 as double)
        end as realised_loss
    from {{ source('serving', 'predictions') }} as predictions
    left join losses on losses.source = predictions.source
    left join {{ ref('int_applications') }} as applications
        on applications.application_id = predictions.application_id
    left join {{ ref('lbl_default') }} as labels on labels.application_id = predictions.application_id
    left join {{ ref('int_outcomes') }} as outcomes on outcomes.application_id = predictions.application_id
),

counted as (
    select
        {{ version }},
        month,
        band,
        count(*) as n_decisions,
        count(case when decision = 'approve' then 1 end) as n_approved,
        count(case when decision = 'refer' then 1 end) as n_referred,
        -- sums of decimals have the same last digit in any order, so that a build writes only what changed
        sum(cast(probability as decimal(18, 12))) as total_probability,
        count(is_default) as n_mature,
        count(case when is_default then 1 end) as n_defaults,
        sum(case when is_default is not null then cast(probability as decimal(18, 12)) end) as total_mature_probability,
        {{ exact_sum('expected_loss', 'true') }} as expected_loss,
        {{ exact_sum('realised_loss', 'expected_loss is not null') }} as realised_loss
    from decisions
    group by {{ version }}, month, band
),

months as (
    select
        {{ version }},
        month,
        sum(n_decisions) as n_decisions,
        min(month) over (partition by {{ version }}) as first_month
    from counted
    group by {{ version }}, month
),

known_bands as (
    select
        {{ version }},
        band,
        -- a band has the same bounds in all months of a version
        sum(total_probability) / sum(n_decisions) as risk,
        count(*) over (partition by {{ version }}) as n_bands
    from counted
    group by {{ version }}, band
),

-- each band in each month, since one that is empty also moves the shares
filled as (
    select
        months.*,
        known_bands.band,
        known_bands.risk,
        known_bands.n_bands,
        coalesce(counted.n_decisions, 0) as n_in_band,
        counted.n_approved,
        counted.n_referred,
        counted.total_probability,
        counted.n_mature,
        counted.n_defaults,
        counted.total_mature_probability,
        counted.expected_loss,
        counted.realised_loss
    from months
    inner join known_bands
        on {{ same_version('known_bands', 'months') }}
    left join counted
        on {{ same_version('counted', 'months') }}
        and counted.month = months.month
        and counted.band = known_bands.band
),

-- half a decision more in each band, as otherwise an empty one would make the index infinite
smoothed as (
    select
        *,
        (n_in_band + 0.5) / (cast(n_decisions as double) + 0.5 * n_bands) as smoothed_share
    from filled
),

beside_first as (
    select
        smoothed.*,
        (smoothed.smoothed_share - first_shares.smoothed_share)
        * ln(smoothed.smoothed_share / first_shares.smoothed_share) as psi_part
    from smoothed
    inner join smoothed as first_shares
        on {{ same_version('first_shares', 'smoothed') }}
        and first_shares.band = smoothed.band
        and first_shares.month = smoothed.first_month
),

ranked as (
    select
        *,
        cast(n_defaults as double) / nullif(n_mature, 0) as default_rate,
        row_number() over (partition by {{ version }}, month order by risk, band) as band_number
    from beside_first
)

select
    source,
    model_name,
    model_version,
    is_backfill,
    month,
    band,
    cast(band_number as integer) as band_number,
    cast(n_in_band as bigint) as n_decisions,
    cast(n_in_band as double) / cast(n_decisions as double) as decision_share,
    round(sum(psi_part) over (partition by {{ version }}, month), 9) as month_psi,
    cast(coalesce(n_approved, 0) as bigint) as n_approved,
    cast(n_approved as double) / nullif(n_in_band, 0) as approval_rate,
    cast(coalesce(n_referred, 0) as bigint) as n_referred,
    cast(total_probability as double) / nullif(n_in_band, 0) as mean_probability,
    cast(coalesce(n_mature, 0) as bigint) as n_mature,
    cast(coalesce(n_defaults, 0) as bigint) as n_defaults,
    cast(total_mature_probability as double) as expected_defaults,
    default_rate,
    default_rate >= max(default_rate) over (
        partition by {{ version }}, month order by band_number rows between unbounded preceding and 1 preceding
    ) as is_in_rank_order,
    expected_loss,
    realised_loss
from ranked
