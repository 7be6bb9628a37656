{#- What the portfolio models share. -#}

{#- Whole months from a time to a later one: 0 until the first anniversary of the day, below 0 if it is earlier. -#}
{% macro whole_months(earlier, later) -%}
    {%- set crossed = months_between(earlier, later) -%}
    ({{ crossed }} - case when {{ months_later(earlier, crossed) }} > {{ later }} then 1 else 0 end)
{%- endmacro %}

{#- The whole numbers from 1 to 600, as `month_number`: more months than any loan has. -#}
{% macro month_numbers() -%}
    {%- set digits = '(values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) as ' -%}
    select 100 * hundreds.digit + 10 * tens.digit + units.digit + 1 as month_number
    from {{ digits }} hundreds(digit)
    cross join {{ digits }} tens(digit)
    cross join {{ digits }} units(digit)
    where hundreds.digit < 6
{%- endmacro %}

{#- The share of the amount that a default loses: of each source, by its file or, without that, by its known defaults. -#}
{% macro losses_given_default() -%}
    select
        lenders.source,
        coalesce(lenders.loss_given_default, known.loss_given_default) as loss_given_default
    from {{ ref('int_lenders') }} as lenders
    left join (
        select
            applications.source,
            {{ exact_sum('outcomes.loss_amount', 'true') }}
            / nullif({{ exact_sum('applications.requested_amount', 'true') }}, 0) as loss_given_default
        from {{ ref('int_outcomes') }} as outcomes
        inner join {{ ref('int_applications') }} as applications
            on applications.application_id = outcomes.application_id
        where outcomes.is_default and outcomes.loss_amount is not null
        group by applications.source
    ) as known on known.source = lenders.source
{%- endmacro %}

{#- A moment's month as a date. -#}
{% macro month_of(moment) -%} cast(date_trunc('month', {{ moment }}) as date) {%- endmacro %}

{#-
    Vintages: those of the changed applications and exposures, and of the applications whose outcome changed. A source's
    clock needs no line of its own: exposures hold until when each loan is observed.
-#}
{% macro months_of_vintages(build) -%}
    select decided_at as month from {{ changes_of(ref('int_applications'), build) }} as changes
    union all
    select decided_at as month from {{ changes_of(ref('lbl_exposures'), build) }} as changes
    union all
    select applications.decided_at as month
    from {{ changes_of(ref('int_outcomes'), build) }} as outcomes
    inner join {{ ref('int_applications') }} as applications on applications.application_id = outcomes.application_id
    union all
    select applications.decided_at as month
    from {{ ref('int_applications') }} as applications
    inner join {{ changes_of(ref('int_lenders'), build) }} as lenders on lenders.source = applications.source
{%- endmacro %}

{#-
    Roll rates: the month of a changed statement and the one before it; the month before a changed outcome; and, as a
    clock moves, months whose following month is over now, or was over by an earlier clock only.
-#}
{% macro months_of_roll_rates(build) -%}
    {%- for moment in ('statement_on', months_later("date_trunc('month', statement_on)", -1)) %}
    select {{ moment }} as month from {{ changes_of(ref('int_statements'), build) }} as changes
    union all
    {%- endfor %}
    select {{ months_later("date_trunc('month', outcomes.outcome_at)", -1) }} as month
    from {{ changes_of(ref('int_outcomes'), build) }} as outcomes
    union all
    select {{ months_later("date_trunc('month', outcomes.outcome_at)", -1) }} as month
    from {{ changes_of(ref('int_applications'), build) }} as applications
    inner join {{ ref('int_outcomes') }} as outcomes on outcomes.application_id = applications.application_id
    union all
    select statements.statement_on as month
    from {{ ref('int_statements') }} as statements
    left join (select source, max(month) as last_month from {{ this }} group by source) as built
        on built.source = statements.source
    where statements.statement_on > coalesce(built.last_month, cast('0001-01-01' as date))
    union all
    select built.month
    from {{ this }} as built
    inner join {{ ref('int_clocks') }} as clocks on clocks.source = built.source
    where {{ months_later('built.month', 2) }} > clocks.clock_at
{%- endmacro %}

{#- Concentration: the months of the applications that changed, matured, or have a new decision. -#}
{% macro months_of_concentration(build) -%}
    select decided_at as month from {{ changes_of(ref('int_applications'), build) }} as changes
    union all
    select decided_at as month from {{ changes_of(ref('lbl_default'), build) }} as changes
    union all
    select applications.decided_at as month
    from {{ changes_of(source('serving', 'predictions'), build) }} as predictions
    inner join {{ ref('int_applications') }} as applications on applications.application_id = predictions.application_id
{%- endmacro %}

{#- Whether two rows of portfolio.bands are of one model version and one kind of decisions. -#}
{% macro same_version(one, other) -%}
    {%- for column in ('source', 'model_name', 'model_version', 'is_backfill') -%}
        {{ one }}.{{ column }} = {{ other }}.{{ column }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
