-- One row per application: the features of the latest version.
select * from {{ ref('ftr_application') }} -- noqa: AM04
