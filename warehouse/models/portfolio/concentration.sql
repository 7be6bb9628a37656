-- One row per month of decision, dimension and value: its share of the applications and amounts, and its defaults.
{%- set dimensions = {
    'purpose': 'purpose', 'region': 'region', 'band': 'band', 'term': 'cast(term_months as ' ~ dbt.type_string() ~ ')'
} %}
with applications as (
    select
        applications.source,
        {{ month_of('applications.decided_at') }} as month,
        applications.application_id,
        applications.purpose,
        applications.region,
        applications.term_months,
        applications.requested_amount,
        labels.is_default
    from {{ ref('int_applications') }} as applications
    left join {{ ref('lbl_default') }} as labels on labels.application_id = applications.application_id
    where {{ in_built_months('applications.decided_at') }}
),

decided as (
    select
        predictions.application_id,
        predictions.band,
        row_number() over (
            partition by predictions.application_id order by predictions.decided_at desc, predictions.decision_id desc
        ) as decisions_back
    from {{ source('serving', 'predictions') }} as predictions
    inner join applications on applications.application_id = predictions.application_id
),

described as (
    select
        applications.*,
        decided.band
    from applications
    left join decided
        on decided.application_id = applications.application_id
        and decided.decisions_back = 1
),

counted as (
    {%- for dimension, value in dimensions.items() %}
    select
        source,
        month,
        '{{ dimension }}' as dimension,
        coalesce({{ value }}, 'unknown') as segment,
        count(*) as n_applications,
        coalesce({{ exact_sum('requested_amount', 'true') }}, 0) as requested_amount,
        count(is_default) as n_mature,
        count(case when is_default then 1 end) as n_defaults
    from described
    group by source, month, coalesce({{ value }}, 'unknown')
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

shared as (
    select
        *,
        cast(n_applications as double)
        / sum(n_applications) over (partition by source, month, dimension) as application_share,
        requested_amount / nullif(
            cast(
                sum(cast(requested_amount as decimal(18, 2))) over (partition by source, month, dimension) as double
            ),
            0
        ) as amount_share
    from counted
)

select
    source,
    month,
    dimension,
    segment,
    n_applications,
    application_share,
    requested_amount,
    amount_share,
    round(sum(amount_share * amount_share) over (partition by source, month, dimension), 9) as herfindahl_index,
    n_mature,
    n_defaults,
    cast(n_defaults as double) / nullif(n_mature, 0) as default_rate
from shared
