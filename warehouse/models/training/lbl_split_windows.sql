-- One row per lender with labels: how they are split, from which months on tune and test begin, and why.
with months as (
    select
        labels.source,
        cast(date_trunc('month', labels.decided_at) as timestamp) as month,
        count(*) as n_labels,
        count(case when labels.is_default then 1 end) as n_defaults
    from {{ ref('lbl_default') }} as labels
    group by labels.source, cast(date_trunc('month', labels.decided_at) as timestamp)
),

lenders as (
    select
        lenders.source,
        lenders.is_dated,
        lenders.split_by,
        lenders.tune_months,
        lenders.test_months,
        lenders.split_min_rows,
        lenders.split_min_defaults,
        lenders.split_max_share,
        lenders.split_max_share * sum(months.n_labels) as most_labels,
        sum(months.n_labels) as n_labels,
        sum(months.n_defaults) as n_defaults,
        min(months.month) as first_month,
        max(months.month) as last_month,
        {{ months_between('min(months.month)', 'max(months.month)') }} + 1 as n_months
    from {{ ref('int_lenders') }} as lenders
    inner join months on months.source = lenders.source
    group by
        lenders.source,
        lenders.is_dated,
        lenders.split_by,
        lenders.tune_months,
        lenders.test_months,
        lenders.split_min_rows,
        lenders.split_min_defaults,
        lenders.split_max_share
),

{{ split_window('test', 'months', 'lenders', 'lenders.last_month') }},

before_test as (
    select months.*
    from months
    inner join test on test.source = months.source and months.month < test.begins_at
),

before_test_lenders as (
    select
        lenders.*,
        test.begins_at as test_begins_at
    from lenders
    inner join test on test.source = lenders.source
),

{{ split_window('tune', 'before_test', 'before_test_lenders', months_later('lenders.test_begins_at', -1)) }},

judged as (
    select
        lenders.source,
        lenders.is_dated,
        lenders.n_months,
        lenders.tune_months,
        lenders.test_months,
        lenders.n_defaults,
        lenders.split_max_share,
        greatest(
            lenders.split_min_rows / cast(lenders.n_labels as double),
            lenders.split_min_defaults / nullif(cast(lenders.n_defaults as double), 0)
        ) as needed_share,
        lenders.split_by = 'hash' as is_chosen,
        lenders.split_by = 'time'
        and lenders.n_months > lenders.tune_months + lenders.test_months
        and coalesce(tune.begins_at > lenders.first_month, false) as is_by_time,
        tune.begins_at as tune_from,
        test.begins_at as test_from,
        tune.reason as tune_reason,
        test.reason as test_reason
    from lenders
    inner join test on test.source = lenders.source
    left join tune on tune.source = lenders.source
)

select
    source,
    is_by_time,
    -- a hash keeps the shares within two percent, and no later row moves it; few labels need more care than that
    not is_by_time and {{ needs_exact_shares('n_defaults', 'needed_share') }} as is_stratified,
    case
        when not is_by_time and {{ needs_exact_shares('n_defaults', 'needed_share') }}
            then greatest(0.15, least(split_max_share, needed_share))
    end as stratified_share,
    case when is_by_time then tune_from end as tune_from,
    case when is_by_time then test_from end as test_from,
    case
        when is_by_time then tune_reason || '; ' || test_reason
        when not is_dated then 'random split: its loans have no dates'
        when is_chosen then 'random split: as its file says'
        when n_months <= tune_months + test_months
            then
                'random split: more than ' || cast(tune_months + test_months as {{ dbt.type_string() }})
                || ' months of labels are needed to split them by time, and it has '
                || cast(n_months as {{ dbt.type_string() }})
        else 'random split: no month is left for training'
    end as reason
from judged
