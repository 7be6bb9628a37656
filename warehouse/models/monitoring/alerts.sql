-- One row per thing that deserves a look: a feature or score that drifted, a model that performs worse than it should,
-- decisions made with other values than the warehouse has, rows that broke the feature contract, a candidate that a
-- gate refused, a file that lost too many of its rows, outcomes dated before their decisions.
{%- set limits = var('alerts') %}
with feature_drift as (
    select
        'feature_drift' as kind,
        source,
        model_name,
        model_version,
        month as raised_for,
        feature as subject,
        psi as value,
        greatest(psi_limit, {{ limits.feature_psi }}) as threshold,
        -- as many times its own limit as the severe index is of the usual one
        psi >= {{ limits.severe_psi }} * greatest(psi_limit / {{ limits.feature_psi }}, 1) as is_severe,
        feature || ' has drifted from its training reference (PSI)' as message
    from {{ source('monitoring', 'feature_drift') }}
    where psi > psi_limit and psi >= {{ limits.feature_psi }}
),

missing_values as (
    select
        'feature_drift' as kind,
        source,
        model_name,
        model_version,
        month as raised_for,
        feature || ' (missing)' as subject,
        missing_share_change as value,
        missing_share_limit as threshold,
        false as is_severe,
        feature || ' is missing more or less often than in training (change of share)' as message
    from {{ source('monitoring', 'feature_drift') }}
    where abs(missing_share_change) > missing_share_limit
),

score_drift as (
    select
        'score_drift' as kind,
        source,
        model_name,
        model_version,
        month as raised_for,
        'probability' as subject,
        psi as value,
        cast({{ limits.score_psi }} as double) as threshold,
        psi >= {{ limits.severe_psi }} as is_severe,
        'the scores have drifted from those of the training reference (PSI)' as message
    from {{ source('monitoring', 'score_drift') }}
    where is_drifted and psi >= {{ limits.score_psi }}
),

logged_features as (
    select
        'feature_skew' as kind,
        source,
        model_name,
        model_version,
        month as raised_for,
        column_name || ' (logged)' as subject,
        cast(n_different as double) as value,
        cast(0 as double) as threshold,
        true as is_severe,
        'in ' || cast(n_different as {{ dbt.type_string() }}) || ' of ' || cast(n_decisions as {{ dbt.type_string() }})
        || ' online decisions the logged feature is not what its SQL makes of the logged inputs' as message
    from {{ source('monitoring', 'feature_skew') }}
    where kind = 'logged_features' and n_different > 0
),

history_freshness as (
    select
        'feature_skew' as kind,
        source,
        model_name,
        model_version,
        month as raised_for,
        'history' as subject,
        different_share as value,
        cast({{ limits.stale_history_share }} as double) as threshold,
        false as is_severe,
        'online decisions were made with other history or cohort inputs than were known by then (share)' as message
    from {{ source('monitoring', 'feature_skew') }}
    where
        kind = 'history_freshness'
        and column_name = '(any)'
        and n_decisions >= {{ limits.min_online_decisions }}
        and different_share > {{ limits.stale_history_share }}
),

discrimination as (
    select
        'performance' as kind,
        source,
        model_name,
        model_version,
        month as raised_for,
        'auc' as subject,
        auc as value,
        cast({{ limits.min_auc }} as double) as threshold,
        true as is_severe,
        'the model hardly ranks this month''s mature decisions (AUC)' as message
    from {{ source('monitoring', 'model_performance') }}
    where n_mature >= {{ limits.min_mature }} and n_defaults >= {{ limits.min_defaults }} and auc < {{ limits.min_auc }}
),

level as (
    select
        'performance' as kind,
        source,
        model_name,
        model_version,
        month as raised_for,
        'default_rate' as subject,
        default_rate / nullif(mean_probability, 0) as value,
        cast({{ limits.max_rate_ratio }} as double) as threshold,
        true as is_severe,
        'more loans of this month defaulted than was predicted (default rate over mean probability)' as message
    from {{ source('monitoring', 'model_performance') }}
    where
        n_mature >= {{ limits.min_mature }}
        and n_defaults >= {{ limits.min_defaults }}
        and default_rate > {{ limits.max_rate_ratio }} * mean_probability
),

contract as (
    select
        'contract' as kind,
        cast(null as {{ dbt.type_string() }}) as source,
        cast(null as {{ dbt.type_string() }}) as model_name,
        cast(null as integer) as model_version,
        cast(date_trunc('month', checked_at) as date) as raised_for,
        -- the snapshot belongs to what was checked: the same rule may break in several versions of a table
        table_name || '.' || column_name || ' at ' || cast(lake_snapshot as {{ dbt.type_string() }})
        || ': ' || rule as subject,
        cast(n_failed as double) as value,
        cast(0 as double) as threshold,
        true as is_severe,
        cast(n_failed as {{ dbt.type_string() }}) || ' of ' || cast(n_rows as {{ dbt.type_string() }})
        || ' rows break the contract' as message
    from {{ source('monitoring', 'contract_violations') }}
    where n_failed > 0
),

gate as (
    select
        'gate' as kind,
        source,
        model_name,
        model_version,
        cast(date_trunc('month', decided_at) as date) as raised_for,
        gate as subject,
        cast(null as double) as value,
        cast(null as double) as threshold,
        false as is_severe,
        message
    from {{ source('monitoring', 'gate_results') }}
    where not passed
),

rows_set_aside as (
    select
        'rows_set_aside' as kind,
        source,
        cast(null as {{ dbt.type_string() }}) as model_name,
        cast(null as integer) as model_version,
        cast(date_trunc('month', loaded_at) as date) as raised_for,
        entity || '/' || file as subject,
        set_aside_share as value,
        max_share as threshold,
        not is_replaced as is_severe,
        cast(n_set_aside as {{ dbt.type_string() }}) || ' of ' || cast(n_rows as {{ dbt.type_string() }})
        || ' rows of the file were set aside: ' || reasons as message
    from {{ ref('rows_set_aside') }}
    where set_aside_share > max_share and not is_accepted
),

outcome_dates as (
    select
        'outcome_dates' as kind,
        applications.source,
        cast(null as {{ dbt.type_string() }}) as model_name,
        cast(null as integer) as model_version,
        cast(date_trunc('month', max(applications.decided_at)) as date) as raised_for,
        'outcomes' as subject,
        cast(count(*) as double) as value,
        cast(0 as double) as threshold,
        true as is_severe,
        cast(count(*) as {{ dbt.type_string() }}) || ' outcomes are dated before the decision on their loan, and count '
        || 'neither as labels nor in features; one is of ' || min(applications.application_id) as message
    from {{ ref('int_outcomes') }} as outcomes
    inner join {{ ref('int_applications') }} as applications on applications.application_id = outcomes.application_id
    where {{ is_misdated('outcomes', 'applications') }}
    group by applications.source
),

alerts as (
    select * from feature_drift
    union all
    select * from missing_values
    union all
    select * from score_drift
    union all
    select * from logged_features
    union all
    select * from history_freshness
    union all
    select * from discrimination
    union all
    select * from level
    union all
    select * from contract
    union all
    select * from gate
    union all
    select * from rows_set_aside
    union all
    select * from outcome_dates
)

select
    md5(
        concat_ws(
            '|',
            kind,
            coalesce(source, ''),
            coalesce(model_name, ''),
            coalesce(cast(model_version as {{ dbt.type_string() }}), ''),
            cast(raised_for as {{ dbt.type_string() }}),
            subject
        )
    ) as alert_id,
    raised_for,
    source,
    model_name,
    model_version,
    kind,
    subject,
    value,
    threshold,
    case when is_severe then 'high' else 'low' end as severity,
    message
from alerts
