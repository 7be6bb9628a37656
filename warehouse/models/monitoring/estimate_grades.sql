-- One row per model version, metric, method and horizon: how often the intervals of estimates held what was true.
select
    source,
    model_name,
    model_version,
    metric,
    method,
    horizon_months,
    level,
    count(*) as n_months,
    avg(case when is_covered then cast(1 as double) else cast(0 as double) end) as coverage,
    avg(estimated_mature - true_value) as mean_error,
    avg(abs(estimated_mature - true_value)) as mean_absolute_error,
    avg(high_mature - low_mature) as mean_width
from {{ source('monitoring', 'performance_estimates') }}
where is_covered is not null
group by source, model_name, model_version, metric, method, horizon_months, level
