-- One row per mature application: the part of training it serves. In time order, so that a model is judged on months it
-- has not seen.
{%- set tune, test = var('tune_months'), var('test_months') %}
with months as (
    select
        source,
        {{ months_between('min(decided_at)', 'max(decided_at)') }} + 1 as n_months,
        {{ months_later("cast(date_trunc('month', max(decided_at)) as timestamp)", 1 - test) }} as test_from,
        {{ months_later("cast(date_trunc('month', max(decided_at)) as timestamp)", 1 - test - tune) }} as tune_from
    from {{ ref('lbl_default') }}
    group by source
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
            when months.n_months > {{ tune + test }} and labels.decided_at >= months.test_from then 'test'
            when months.n_months > {{ tune + test }} and labels.decided_at >= months.tune_from then 'tune'
            when months.n_months > {{ tune + test }} then 'train'
            -- too few months to keep any for training: 70, 15 and 15 of 100 by a hash, which no later row changes
            when substr(md5(labels.application_id), 1, 4) < '{{ "%04x" % (0.70 * 65536) | round | int }}' then 'train'
            when substr(md5(labels.application_id), 1, 4) < '{{ "%04x" % (0.85 * 65536) | round | int }}' then 'tune'
            else 'test'
        end as split
    from {{ ref('lbl_default') }} as labels
    inner join months on months.source = labels.source
)

select
    application_id,
    source,
    decided_at,
    split,
    is_default,
    label_known_at
from splits
