-- One row per champion, challenger in shadow, month and pair of answers: whom the swap would let in or turn away, what
-- that is expected to cost, and what it cost.
with pairs as (
    select
        answered.source,
        answered.model_name,
        answered.model_version as champion_version,
        shadowed.model_version as challenger_version,
        cast(date_trunc('month', answered.decided_at) as date) as month,
        answered.decision as champion_decision,
        shadowed.decision as challenger_decision,
        answered.application_id,
        answered.probability as champion_probability,
        shadowed.probability as challenger_probability,
        cast(json_extract_string(answered.inputs, '$.requested_amount') as double) as requested_amount
    from {{ source('serving', 'shadow_predictions') }} as shadowed
    inner join {{ source('serving', 'predictions') }} as answered
        on answered.decision_id = shadowed.answered_decision_id
),

-- what a default costs of what was asked for, by the lender's own losses; all of it while none is known
losses as (
    select
        applications.source,
        sum(outcomes.loss_amount) / nullif(sum(applications.requested_amount), 0) as loss_given_default
    from {{ ref('int_outcomes') }} as outcomes
    inner join {{ ref('int_applications') }} as applications
        on applications.application_id = outcomes.application_id
    where outcomes.is_default and outcomes.loss_amount is not null
    group by applications.source
),

valued as (
    select
        pairs.*,
        pairs.requested_amount * coalesce(losses.loss_given_default, 1) as loss_on_default,
        labels.is_default,
        case
            when labels.is_default
                then coalesce(outcomes.loss_amount, pairs.requested_amount * coalesce(losses.loss_given_default, 1))
            when not labels.is_default then cast(0 as double)
        end as realised_loss
    from pairs
    left join losses on losses.source = pairs.source
    left join {{ ref('lbl_default') }} as labels on labels.application_id = pairs.application_id
    left join {{ ref('int_outcomes') }} as outcomes on outcomes.application_id = pairs.application_id
)

select
    source,
    model_name,
    champion_version,
    challenger_version,
    month,
    case
        when champion_decision = challenger_decision then 'both_' || challenger_decision
        when champion_decision = 'refer' then 'no_longer_referred'
        when challenger_decision = 'refer' then 'newly_referred'
        when challenger_decision = 'approve' then 'swapped_in'
        else 'swapped_out'
    end as swap,
    count(*) as n_applications,
    sum(requested_amount) as requested_amount,
    avg(champion_probability) as mean_champion_probability,
    avg(challenger_probability) as mean_challenger_probability,
    sum(champion_probability * loss_on_default) as expected_loss_by_champion,
    sum(challenger_probability * loss_on_default) as expected_loss_by_challenger,
    count(is_default) as n_mature,
    count(case when is_default then 1 end) as n_defaults,
    sum(realised_loss) as realised_loss
from valued
group by source, model_name, champion_version, challenger_version, month, swap
