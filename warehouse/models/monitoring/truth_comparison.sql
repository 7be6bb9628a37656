-- One row per model version and month of the simulated lender's decisions: predictions against the true probabilities.
with compared as (
    select
        predictions.model_name,
        predictions.model_version,
        cast(date_trunc('month', predictions.decided_at) as date) as month,
        predictions.probability,
        truth.p_default,
        truth.is_shock_period
    from {{ source('serving', 'predictions') }} as predictions
    inner join {{ ref('stg_simulated__truth') }} as truth on truth.application_id = predictions.application_id
    where predictions.source = 'simulated'
)

select
    model_name,
    model_version,
    month,
    count(*) as n_decisions,
    avg(probability) as mean_probability,
    avg(p_default) as mean_true_probability,
    avg(abs(probability - p_default)) as mean_absolute_error,
    sqrt(avg((probability - p_default) * (probability - p_default))) as root_mean_squared_error,
    corr(probability, p_default) as correlation,
    avg(case when is_shock_period then cast(1 as double) else cast(0 as double) end) as shock_share
from compared
group by model_name, model_version, month
