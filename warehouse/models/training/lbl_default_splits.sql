-- One row per mature application: the part of training it serves. In time order where there are months enough, so that
-- a model is judged on months it has not seen.
with shuffled as (
    select
        labels.application_id,
        row_number() over (
            partition by labels.source, labels.is_default order by md5(labels.application_id), labels.application_id
        ) as place,
        ceil(
            windows.stratified_share * count(*) over (partition by labels.source, labels.is_default)
        ) as n_in_test
    from {{ ref('lbl_default') }} as labels
    inner join {{ ref('lbl_split_windows') }} as windows on windows.source = labels.source
    where windows.is_stratified
),

splits as (
    select
        labels.application_id,
        labels.source,
        labels.decided_at,
        labels.is_default,
        -- both the outcome and the closing of its window: this label could not be used earlier
        greatest(labels.known_at, labels.matured_at) as label_known_at,
        case
            when windows.is_by_time and labels.decided_at >= windows.test_from then 'test'
            when windows.is_by_time and labels.decided_at >= windows.tune_from then 'tune'
            when windows.is_by_time then 'train'
            when windows.is_stratified and shuffled.place <= shuffled.n_in_test then 'test'
            when windows.is_stratified and shuffled.place <= 2 * shuffled.n_in_test then 'tune'
            when windows.is_stratified then 'train'
            -- 70, 15 and 15 of 100
            when substr(md5(labels.application_id), 1, 4) < '{{ "%04x" % (0.70 * 65536) | round | int }}' then 'train'
            when substr(md5(labels.application_id), 1, 4) < '{{ "%04x" % (0.85 * 65536) | round | int }}' then 'tune'
            else 'test'
        end as split
    from {{ ref('lbl_default') }} as labels
    inner join {{ ref('lbl_split_windows') }} as windows on windows.source = labels.source
    left join shuffled on shuffled.application_id = labels.application_id
)

select
    application_id,
    source,
    decided_at,
    split,
    is_default,
    label_known_at
from splits
