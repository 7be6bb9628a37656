-- One row per feature, model version and month: its drift from the training rows, strongest against its limit first.
select
    source,
    model_name,
    model_version,
    month,
    feature,
    psi,
    psi_limit,
    psi / psi_limit as psi_over_limit,
    missing_share_current - missing_share_reference as missing_share_change,
    n_current,
    is_drifted
from {{ source('monitoring', 'feature_drift') }}
order by psi_over_limit desc, month asc, feature asc
