-- One row per alert: what is wrong at one lender from one cause, through all months, features and model versions.
with episodes as (
    select
        source,
        kind,
        case
            when kind = 'feature_drift' and subject like '% (missing)' then 'missing values'
            when kind = 'feature_drift' then 'features'
            when kind = 'score_drift' then 'probability'
            when kind = 'feature_skew' and subject like '% (logged)' then 'logged features'
            when kind = 'estimated_performance' then 'estimates'
            when kind = 'gate' then 'candidate'
            when kind = 'contract' then regexp_replace(subject, '[.][^.]*: .*$', '')
            when kind = 'data_anomaly' then replace(regexp_extract(subject, '^[^:]*: [a-z]*'), ':', '')
            when kind = 'late_source' then 'files'
            when kind = 'rolled_back' then 'champion'
            when kind = 'rows_set_aside' then split_part(subject, '/', 1)
            else subject
        end as cause,
        subject,
        model_version,
        first_month,
        last_month,
        n_quiet_months,
        state,
        value,
        threshold,
        severity,
        message
    from {{ ref('alert_episodes') }}
),

-- episodes that overlap, or follow each other within a month, are one occurrence
ordered as (
    select
        *,
        max(last_month) over (
            partition by source, kind, cause
            order by first_month, last_month
            rows between unbounded preceding and 1 preceding
        ) as seen_until
    from episodes
),

numbered as (
    select
        *,
        sum(case when first_month <= seen_until + interval 1 month then 0 else 1 end) over (
            partition by source, kind, cause
            order by first_month, last_month
            rows between unbounded preceding and current row
        ) as occurrence
    from ordered
),

-- what an occurrence is about now: the episodes that have not ended, or those that ended last
newest as (
    select
        *,
        case when state = 'ended' then 0 else 1 end as is_open,
        min(first_month) over (partition by source, kind, cause, occurrence) as occurrence_began,
        max(last_month) over (partition by source, kind, cause, occurrence) as occurrence_last
    from numbered
),

ranked as (
    select
        *,
        dense_rank() over (
            partition by source, kind, cause
            order by
                is_open desc,
                occurrence_last desc,
                case when is_open = 1 then null else last_month end desc
        ) as place
    from newest
),

alerts as (
    select
        source,
        kind,
        cause,
        min(occurrence_began) as first_month,
        max(occurrence_last) as last_month,
        max(is_open) as is_open,
        min(n_quiet_months) as n_quiet_months,
        count(distinct subject) as n_subjects,
        array_to_string(list_sort(list_distinct(list(subject))), ', ') as subjects,
        array_to_string(list_sort(list_distinct(list(case when state = 'new' then subject end))), ', ') as new_subjects,
        array_to_string(
            list_sort(list_distinct(list(cast(model_version as {{ dbt.type_string() }})))), ', '
        ) as model_versions,
        max(case when severity = 'high' then 1 else 0 end) as is_high,
        -- the worst subject stands for the others
        arg_max(subject, (severity = 'high', abs(value / nullif(threshold, 0)), subject)) as worst_subject,
        arg_max(value, (severity = 'high', abs(value / nullif(threshold, 0)), subject)) as value,
        arg_max(threshold, (severity = 'high', abs(value / nullif(threshold, 0)), subject)) as threshold,
        arg_max(message, (severity = 'high', abs(value / nullif(threshold, 0)), subject)) as message
    from ranked
    where place = 1
    group by source, kind, cause
),

identified as (
    select
        *,
        substr(md5(concat_ws('|', coalesce(source, ''), kind, cause)), 1, 10) as alert_id,
        case when is_high = 1 then 'high' else 'low' end as severity
    from alerts
),

acknowledgements as (
    select
        *,
        row_number() over (partition by alert_id order by acknowledged_at desc) as place
    from {{ source('monitoring', 'alert_acknowledgements') }}
)

select
    identified.alert_id,
    identified.source,
    identified.kind,
    identified.cause,
    -- an acknowledgement holds until the occurrence ends, also within a month, or becomes severe
    case
        when identified.is_open = 0 then 'resolved'
        when
            coalesce(acknowledgements.last_month >= identified.first_month, false)
            and (identified.severity = 'low' or acknowledgements.severity = 'high')
            then 'acknowledged'
        else 'open'
    end as state,
    identified.severity,
    identified.first_month,
    identified.last_month,
    cast(date_diff('month', identified.first_month, identified.last_month) as integer) + 1 as n_months,
    cast(case when identified.is_open = 1 then identified.n_quiet_months else 0 end as integer) as n_quiet_months,
    cast(identified.n_subjects as integer) as n_subjects,
    identified.subjects,
    coalesce(identified.new_subjects, '') as new_subjects,
    identified.worst_subject,
    coalesce(identified.model_versions, '') as model_versions,
    identified.value,
    identified.threshold,
    identified.message,
    acknowledgements.acknowledged_by,
    acknowledgements.acknowledged_at,
    acknowledgements.reason as acknowledged_because
from identified
left join acknowledgements
    on identified.alert_id = acknowledgements.alert_id
    and acknowledgements.place = 1
    and acknowledgements.last_month >= identified.first_month
    and (acknowledgements.ended_at is null or identified.is_open = 0)
