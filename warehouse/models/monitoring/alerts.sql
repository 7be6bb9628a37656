-- One row per thing that deserves a look: a feature or score that drifted, a model that performs worse than it should,
-- or is estimated to, decisions made with other values than the warehouse has, rows that broke the feature contract, a
-- candidate that a gate refused, a file that lost too many of its rows, data unlike those of earlier months, files that
-- are late, a champion that was left by itself, outcomes dated before their decisions, terms that know how loans ended.
-- The limits and verdicts are those that the tables stored when a month was measured:
-- ml/monitoring/limits.py.
with feature_drift as (
    select
        'feature_drift' as kind,
        source,
        model_name,
        model_version,
        month as raised_for,
        feature as subject,
        psi as value,
        psi_limit as threshold,
        is_severe,
        feature || ' has drifted from its training reference (PSI)' as message
    from {{ source('monitoring', 'feature_drift') }}
    where is_drifted and psi > psi_limit
),

feature_distance as (
    select
        'feature_drift' as kind,
        source,
        model_name,
        model_version,
        month as raised_for,
        feature || ' (KS)' as subject,
        ks as value,
        ks_limit as threshold,
        false as is_severe,
        feature || ' has drifted from its training reference (Kolmogorov-Smirnov distance)' as message
    from {{ source('monitoring', 'feature_drift') }}
    where is_drifted and ks > ks_limit
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
    where is_drifted and abs(missing_share_change) > missing_share_limit
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
        psi_limit as threshold,
        is_severe,
        'the scores have drifted from those of the training reference (PSI)' as message
    from {{ source('monitoring', 'score_drift') }}
    where is_drifted and psi > psi_limit
),

score_distance as (
    select
        'score_drift' as kind,
        source,
        model_name,
        model_version,
        month as raised_for,
        'probability (KS)' as subject,
        ks as value,
        ks_limit as threshold,
        false as is_severe,
        'the scores have drifted from those of the training reference (Kolmogorov-Smirnov distance)' as message
    from {{ source('monitoring', 'score_drift') }}
    where is_drifted and ks > ks_limit
),

feature_skew as (
    select
        'feature_skew' as kind,
        source,
        model_name,
        model_version,
        month as raised_for,
        case when kind = 'logged_features' then column_name || ' (logged)' else 'history' end as subject,
        different_share as value,
        different_share_limit as threshold,
        kind = 'logged_features' as is_severe,
        'in ' || cast(n_different as {{ dbt.type_string() }}) || ' of ' || cast(n_decisions as {{ dbt.type_string() }})
        || case
            when kind = 'logged_features'
                then ' online decisions the logged feature is not what its SQL makes of the logged inputs'
            else ' online decisions other history or cohort inputs were used than were known by then'
        end as message
    from {{ source('monitoring', 'feature_skew') }}
    where different_share > different_share_limit
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
        auc_limit as threshold,
        is_severe,
        'the model ranks this month''s mature decisions worse than those it was tested on (AUC)' as message
    from {{ source('monitoring', 'model_performance') }}
    where is_decayed and auc < auc_limit
),

level as (
    select
        'performance' as kind,
        source,
        model_name,
        model_version,
        month as raised_for,
        'default_rate' as subject,
        default_rate as value,
        default_rate_limit as threshold,
        is_severe,
        'more loans of this month defaulted than was predicted (default rate)' as message
    from {{ source('monitoring', 'model_performance') }}
    where is_decayed and default_rate > default_rate_limit
),

estimated_performance as (
    select
        'estimated_performance' as kind,
        source,
        model_name,
        model_version,
        month as raised_for,
        metric || ' (' || method || ')' as subject,
        case when metric = 'defaults_so_far' then true_value else estimated end as value,
        estimated_limit as threshold,
        is_severe,
        case
            when metric = 'defaults_so_far' then 'more loans of this month have defaulted by now than was expected'
            when metric = 'auc'
                then 'the model is estimated to rank this month''s decisions worse than those it was tested on (AUC)'
            when metric = 'pooled_default_rate'
                then
                    'the applicants of this month and those before it are estimated to default more often than those '
                    || 'the model was tested on'
            else 'this month''s applicants are estimated to default more often than those the model was tested on'
        end
        || case
            when is_trusted then ''
            else
                '; do not rely on this estimator: its intervals missed ' || cast(n_missed as {{ dbt.type_string() }})
                || ' of ' || cast(n_graded as {{ dbt.type_string() }}) || ' earlier months'
        end as message
    from {{ source('monitoring', 'performance_estimates') }}
    where is_alarm
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

-- lenders whose files keep coming: of others, such as one file of past years, the last months are the end of the file
live as (
    select distinct source
    from {{ ref('source_arrivals') }}
    where allowed_days is not null
),

usual_volumes as (
    select
        source,
        entity,
        max(month) as last_month
    from {{ ref('data_checks') }}
    where figure = 'volume' and value >= low
    group by source, entity
),

data_anomaly as (
    select
        'data_anomaly' as kind,
        checks.source,
        cast(null as {{ dbt.type_string() }}) as model_name,
        cast(null as integer) as model_version,
        checks.month as raised_for,
        checks.entity || ': ' || case checks.figure
            when 'missing' then 'missing ' || checks.column_name
            when 'category' then 'new values of ' || checks.column_name
            else checks.figure
        end as subject,
        max(checks.value) as value,
        max_by(case when checks.value > checks.high then checks.high else checks.low end, checks.value) as threshold,
        max(case when checks.is_severe then 1 else 0 end) = 1 as is_severe,
        case checks.figure
            when 'volume'
                then
                    cast(max(checks.n_rows) as {{ dbt.type_string() }}) || ' rows became known, about '
                    || cast(cast(round(max(checks.expected)) as bigint) as {{ dbt.type_string() }}) || ' were expected'
            when 'missing'
                then 'the share of ' || checks.column_name || ' that is missing is not as in the months before'
            when 'duplicates' then 'rows repeat others under another key'
            when 'delay' then 'rows became known later than in the months before (mean days)'
            else
                cast(count(*) as {{ dbt.type_string() }}) || ' values of ' || checks.column_name
                || ' that hardly any earlier row had, such as ' || max_by(checks.category, checks.value)
        end as message
    from {{ ref('data_checks') }} as checks
    left join live on live.source = checks.source
    left join usual_volumes
        on usual_volumes.source = checks.source
        and usual_volumes.entity = checks.entity
    where
        checks.is_anomaly
        and not (
            checks.figure = 'volume'
            and coalesce(checks.value < checks.low, false)
            and live.source is null
            and coalesce(checks.month > usual_volumes.last_month, false)
        )
    group by checks.source, checks.month, checks.entity, checks.figure, checks.column_name
),

late_source as (
    select
        'late_source' as kind,
        source,
        cast(null as {{ dbt.type_string() }}) as model_name,
        cast(null as integer) as model_version,
        {{ month_of('late_from') }} as raised_for,
        entity as subject,
        cast(days_since_arrival as double) as value,
        cast(allowed_days as double) as threshold,
        days_since_arrival > allowed_days + allowed_days as is_severe,
        'the newest file arrived on ' || cast(newest_arrival_on as {{ dbt.type_string() }})
        || ', the next was due by ' || cast(late_from as {{ dbt.type_string() }}) as message
    from {{ ref('source_arrivals') }}
    where is_late
),

-- service went back by itself, and no other version has been published since
changes as (
    select
        *,
        cast(json_extract_string(figures, '$.left_version') as integer) as left_version,
        max(case when action = 'publish' then change end) over (partition by source) as newest_publication
    from {{ source('serving', 'deployment_changes') }}
),

rolled_back as (
    select
        'rolled_back' as kind,
        source,
        cast(null as {{ dbt.type_string() }}) as model_name,
        cast(null as integer) as model_version,
        {{ month_of('changed_at') }} as raised_for,
        model_name || ' version ' || cast(left_version as {{ dbt.type_string() }}) as subject,
        cast(null as double) as value,
        cast(null as double) as threshold,
        true as is_severe,
        'version ' || cast(champion_version as {{ dbt.type_string() }}) || ' is served again: ' || why as message
    from changes
    where left_version is not null and change > newest_publication
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

-- A life that a loan had, given as its term: a term of 7 months then says that the loan failed early.
{%- set most_ended_with_their_term = 0.9 %}
actual_terms as (
    select
        'actual_terms' as kind,
        applications.source,
        cast(null as {{ dbt.type_string() }}) as model_name,
        cast(null as integer) as model_version,
        cast(date_trunc('month', max(applications.decided_at)) as date) as raised_for,
        'term_months' as subject,
        {{ share_ended_with_their_term() }} as value,
        cast({{ most_ended_with_their_term }} as double) as threshold,
        true as is_severe,
        'nearly all defaults happened in the last month of the term, and loans that default have shorter terms: '
        || 'term_months must be the life that was agreed, not the one that the loan had' as message
    from {{ ref('int_outcomes') }} as outcomes
    inner join {{ ref('int_applications') }} as applications on applications.application_id = outcomes.application_id
    group by applications.source
    having
        count(case when outcomes.is_default then 1 end) >= 50
        -- few terms on offer are agreed terms
        and count(distinct applications.term_months) >= 12
        and {{ share_ended_with_their_term() }} >= {{ most_ended_with_their_term }}
        and avg(case when outcomes.is_default then applications.term_months end)
        < avg(case when not outcomes.is_default then applications.term_months end)
),

alerts as (
    select * from feature_drift
    union all
    select * from feature_distance
    union all
    select * from missing_values
    union all
    select * from score_drift
    union all
    select * from score_distance
    union all
    select * from feature_skew
    union all
    select * from discrimination
    union all
    select * from level
    union all
    select * from estimated_performance
    union all
    select * from contract
    union all
    select * from gate
    union all
    select * from rows_set_aside
    union all
    select * from data_anomaly
    union all
    select * from late_source
    union all
    select * from rolled_back
    union all
    select * from outcome_dates
    union all
    select * from actual_terms
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
