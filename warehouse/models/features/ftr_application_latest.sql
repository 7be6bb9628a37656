-- One row per application: the features of the latest version.
-- AM04: the columns are listed once, in the contract of the version this points to
select * from {{ ref('ftr_application') }} -- noqa: AM04
