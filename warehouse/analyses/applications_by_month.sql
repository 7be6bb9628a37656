-- One row per lender and month: how many applied, what is known of them, and how those with a known outcome ended.
select
    applications.source,
    cast(date_trunc('month', applications.decided_at) as date) as month,
    count(*) as n_applications,
    count(distinct applications.borrower_id) as n_borrowers,
    median(applications.requested_amount) as median_requested_amount,
    1 - count(applications.annual_income) / cast(count(*) as double) as income_missing_share,
    count(outcomes.application_id) as n_outcomes,
    avg(cast(outcomes.is_default as integer)) as default_share_of_outcomes
from {{ ref('int_applications') }} as applications
left join {{ ref('int_outcomes') }} as outcomes on outcomes.application_id = applications.application_id
group by applications.source, cast(date_trunc('month', applications.decided_at) as date)
order by applications.source, month
