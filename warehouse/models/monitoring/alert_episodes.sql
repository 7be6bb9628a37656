-- One row per alert and run of measured months, broken by quiet ones: new, continuing and ended ones.
{%- set swinging = "('feature_drift', 'score_drift', 'performance', 'estimated_performance')" %}
with named as (
    select
        kind,
        source,
        model_name,
        model_version,
        raised_for as month,
        -- a rule that is broken at one snapshot and at the next is one matter
        case when kind = 'contract' then regexp_replace(subject, ' at [0-9]+: ', ': ') else subject end as matter,
        value,
        threshold,
        case when severity = 'high' then 1 else 0 end as is_high,
        message
    from {{ ref('alerts') }}
),

matters as (
    select
        kind,
        source,
        model_name,
        model_version,
        month,
        matter as subject,
        max(value) as value,
        max(threshold) as threshold,
        max(is_high) as is_high,
        max(message) as message
    from named
    group by kind, source, model_name, model_version, month, matter
),

-- the months in which an alert of the kind could have been raised (one of too few decisions has no limit);
-- of other kinds, those in which one was
measured as (
    select distinct
        'feature_drift' as kind,
        source,
        model_name,
        model_version,
        month
    from {{ source('monitoring', 'feature_drift') }}
    where missing_share_limit is not null
    union
    select distinct
        'score_drift' as kind,
        source,
        model_name,
        model_version,
        month
    from {{ source('monitoring', 'score_drift') }}
    where psi_limit is not null
    union
    select distinct
        'feature_skew' as kind,
        source,
        model_name,
        model_version,
        month
    from {{ source('monitoring', 'feature_skew') }}
    where different_share_limit is not null
    union
    select distinct
        'performance' as kind,
        source,
        model_name,
        model_version,
        month
    from {{ source('monitoring', 'model_performance') }}
    where auc_limit is not null
    union
    select distinct
        'estimated_performance' as kind,
        source,
        model_name,
        model_version,
        month
    from {{ source('monitoring', 'performance_estimates') }}
    where estimated_limit is not null
    union
    -- a month that has begun ends nothing: its rows may still come
    select distinct
        'data_anomaly' as kind,
        source,
        cast(null as {{ dbt.type_string() }}) as model_name,
        cast(null as integer) as model_version,
        month
    from {{ ref('data_checks') }}
    where is_finished
    union
    select distinct
        kind,
        source,
        model_name,
        model_version,
        month
    from matters
),

places as (
    select
        kind,
        source,
        model_name,
        model_version,
        month,
        row_number() over (partition by kind, source, model_name, model_version order by month) as place,
        max(month) over (partition by kind, source, model_name, model_version) as newest_month,
        count(*) over (partition by kind, source, model_name, model_version) as newest_place
    from measured
),

-- months of one matter between which fewer months were quiet than end it
found as (
    select
        matters.*,
        places.place,
        places.newest_month,
        places.newest_place,
        case when matters.kind in {{ swinging }} then {{ var('alert_quiet_months') }} else 1 end as quiet_months,
        lag(places.place) over (
            partition by
                matters.kind, matters.source, matters.model_name, matters.model_version, matters.subject
            order by matters.month
        ) as place_before
    from matters
    inner join places
        on matters.kind = places.kind
        and matters.source is not distinct from places.source
        and matters.model_name is not distinct from places.model_name
        and matters.model_version is not distinct from places.model_version
        and matters.month = places.month
),

runs as (
    select
        *,
        sum(case when place - place_before <= quiet_months then 0 else 1 end) over (
            partition by kind, source, model_name, model_version, subject
            order by month
            rows between unbounded preceding and current row
        ) as run
    from found
),

episodes as (
    select
        kind,
        source,
        model_name,
        model_version,
        subject,
        min(month) as first_month,
        max(month) as last_month,
        count(*) as n_months,
        max(newest_month) as newest_month,
        max(newest_place) - max(place) as n_quiet_months,
        max(quiet_months) as quiet_months,
        max_by(value, month) as value,
        max_by(threshold, month) as threshold,
        max_by(is_high, month) as is_high,
        max_by(message, month) as message
    from runs
    group by kind, source, model_name, model_version, subject, run
),

-- the versions whose alerts still concern anyone: in service or on trial, and the newest that was judged
changes as (
    select
        source,
        model_name,
        champion_version,
        challenger_version,
        row_number() over (partition by source order by change desc) as place
    from {{ source('serving', 'deployment_changes') }}
),

served as (
    select
        source,
        model_name,
        champion_version as model_version
    from changes
    where place = 1
    union
    select
        source,
        model_name,
        challenger_version as model_version
    from changes
    where place = 1 and challenger_version is not null
),

lenders as (
    select distinct source
    from served
),

judged as (
    select
        source,
        model_name,
        max(model_version) as model_version
    from {{ source('monitoring', 'gate_results') }}
    group by source, model_name
),

-- refusals that a named person has overridden
overridden as (
    select distinct
        source,
        model_name,
        model_version,
        unnest(overridden) as gate
    from {{ source('serving', 'approvals') }}
),

-- what the newest check of a table of features found: each check marks what it found no more
broken as (
    select distinct table_name || '.' || column_name || ': ' || rule as subject
    from {{ source('monitoring', 'contract_violations') }}
    where n_failed > 0 and mended_at is null
),

concerned as (
    select
        episodes.*,
        case
            -- a person who overrides a refusal, or tries the version, knows of it
            when episodes.kind = 'gate'
                then
                    episodes.model_version = judged.model_version
                    and overridden.gate is null
                    and serving.source is null
            when episodes.kind = 'contract' then broken.subject is not null
            when episodes.model_version is null or lenders.source is null then true
            else serving.source is not null
        end as is_concerned
    from episodes
    left join judged
        on episodes.source = judged.source
        and episodes.model_name = judged.model_name
    left join served as serving
        on episodes.source = serving.source
        and episodes.model_name = serving.model_name
        and episodes.model_version = serving.model_version
    left join lenders on episodes.source = lenders.source
    left join broken on episodes.subject = broken.subject
    left join overridden
        on episodes.source = overridden.source
        and episodes.model_name = overridden.model_name
        and episodes.model_version = overridden.model_version
        and episodes.subject = overridden.gate
)

select
    source,
    model_name,
    model_version,
    kind,
    subject,
    first_month,
    last_month,
    n_months,
    n_quiet_months,
    case
        when not is_concerned or (kind <> 'contract' and n_quiet_months >= quiet_months) then 'ended'
        -- a candidate is judged once, and a table mended when a check says so: its month stays its newest
        when kind in ('gate', 'contract') and first_month < date_trunc('month', current_date) then 'continuing'
        when first_month = newest_month then 'new'
        else 'continuing'
    end as state,
    value,
    threshold,
    case when is_high = 1 then 'high' else 'low' end as severity,
    message
from concerned
