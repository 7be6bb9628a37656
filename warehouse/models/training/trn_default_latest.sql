-- One row per mature application: the training rows of the features' latest version.
-- AM04: the columns are listed once, in the contract of the version this points to
select * from {{ ref('trn_default') }} -- noqa: AM04
