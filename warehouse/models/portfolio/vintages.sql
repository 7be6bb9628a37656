-- One row per vintage and month on book: what had become of its loans by then, of those observed for that long.
with loans as (
    select
        applications.source,
        {{ month_of('applications.decided_at') }} as vintage,
        applications.requested_amount,
        applications.term_months + lenders.outcome_lag_months as last_month,
        case
            -- after its term and the lag hardly anything becomes known of a loan: it stays among those observed, as
            -- otherwise the last months of a vintage would be of its longest loans alone
            when exposures.observed_until >= {{ months_later(
                'applications.decided_at', 'applications.term_months + lenders.outcome_lag_months'
            ) }} then 600
            when exposures.application_id is not null
                then {{ whole_months('exposures.decided_at', 'exposures.observed_until') }}
        end as months_observed,
        -- an outcome of the first month counts from month 1 on, as one on the day before its anniversary does
        case
            when exposures.application_id is not null and outcomes.outcome_at is not null
                then greatest({{ whole_months('applications.decided_at', 'outcomes.outcome_at') }} + 1, 1)
        end as outcome_month,
        case
            when exposures.is_default then 'defaulted'
            when outcomes.is_default is false and exposures.application_id is not null
                then
                    case
                        when
                            outcomes.outcome_at
                            < {{ months_later('applications.decided_at', 'applications.term_months - 1') }}
                            then 'prepaid'
                        else 'repaid'
                    end
        end as what_became,
        case when exposures.is_default then outcomes.loss_amount end as loss_amount
    from {{ ref('int_applications') }} as applications
    inner join {{ ref('int_lenders') }} as lenders
        on lenders.source = applications.source
        and lenders.is_dated
    left join {{ ref('lbl_exposures') }} as exposures on exposures.application_id = applications.application_id
    left join {{ ref('int_outcomes') }} as outcomes on outcomes.application_id = applications.application_id
    where {{ in_built_months('applications.decided_at') }}
),

-- few rows a vintage, whatever the number of its loans
cells as (
    select
        source,
        vintage,
        months_observed,
        outcome_month,
        what_became,
        count(*) as n_loans,
        max(last_month) as last_month,
        {{ exact_sum('requested_amount', 'true') }} as requested_amount,
        count(loss_amount) as n_losses_known,
        {{ exact_sum('loss_amount', 'true') }} as loss_amount
    from loans
    group by source, vintage, months_observed, outcome_month, what_became
),

vintages as (
    select
        source,
        vintage,
        sum(n_loans) as n_loans,
        -- after the longest term, the lag and the last outcome nothing changes; without a term, until the last month
        -- observed
        least(
            max(months_observed), greatest(coalesce(max(last_month), max(months_observed)), max(outcome_month))
        ) as last_month
    from cells
    group by source, vintage
),

month_numbers as (
    {{ month_numbers() }}
),

counted as (
    select
        vintages.source,
        vintages.vintage,
        month_numbers.month_number as months_on_book,
        max(vintages.n_loans) as n_loans,
        sum(cells.n_loans) as n_observed,
        sum(case when cells.outcome_month <= month_numbers.month_number then cells.n_loans else 0 end) as n_resolved,
        {%- for word in ('defaulted', 'prepaid') %}
        sum(
            case
                when cells.what_became = '{{ word }}' and cells.outcome_month <= month_numbers.month_number
                    then cells.n_loans
                else 0
            end
        ) as n_{{ word }},
        {%- endfor %}
        {%- set lost = 'cells.outcome_month <= month_numbers.month_number' %}
        {{ exact_sum('cells.requested_amount', 'true') }} as requested_amount,
        sum(case when {{ lost }} then cells.n_losses_known else 0 end) as n_losses_known,
        {{ exact_sum('cells.loss_amount', lost) }} as loss_amount
    from vintages
    inner join month_numbers on month_numbers.month_number <= vintages.last_month
    inner join cells
        on cells.source = vintages.source
        and cells.vintage = vintages.vintage
        and cells.months_observed >= month_numbers.month_number
    group by vintages.source, vintages.vintage, month_numbers.month_number
)

select
    source,
    vintage,
    cast(months_on_book as integer) as months_on_book,
    cast(n_loans as bigint) as n_loans,
    cast(n_observed as bigint) as n_observed,
    cast((n_loans - n_observed) as double) / n_loans as unobserved_share,
    cast(n_defaulted as bigint) as n_defaults,
    cast(n_defaulted as double) / n_observed as default_share,
    cast(n_prepaid as bigint) as n_prepaid,
    cast(n_resolved as bigint) as n_resolved,
    cast((n_observed - n_resolved) as double) / n_observed as open_share,
    requested_amount,
    cast(n_losses_known as bigint) as n_losses_known,
    loss_amount,
    loss_amount / nullif(requested_amount, 0) as loss_share
from counted
