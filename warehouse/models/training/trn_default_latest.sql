-- One row per mature application: the training rows of the features' latest version.
select * from {{ ref('trn_default') }} -- noqa: AM04
