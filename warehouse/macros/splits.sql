{#-
    CTE `part` (tune or test): one row per source, with the month from which on its labels serve that part, and why.

    The part asks for the last months of `months` (source, month, n_labels, n_defaults) up to `until`, as many as the
    lender's file says. It reaches back until it holds enough labels and defaults, but never beyond the lender's
    largest share: then it begins later than asked. `lenders`: a relation with the settings of the split and most_labels.
-#}
{% macro split_window(part, months, lenders, until) -%}
{{ part }}_asked as (
    select
        months.source,
        months.month,
        months.n_labels,
        months.n_defaults,
        lenders.{{ part }}_months as n_months,
        lenders.split_min_rows,
        lenders.split_min_defaults,
        lenders.most_labels,
        months.month >= {{ months_later(until, '1 - lenders.' ~ part ~ '_months') }} as is_asked
    from {{ months }} as months
    inner join {{ lenders }} as lenders on lenders.source = months.source
),

{{ part }}_totals as (
    select
        *,
        sum(n_labels) over since_then as n_labels_since,
        sum(n_defaults) over since_then as n_defaults_since,
        coalesce(sum(case when is_asked then n_labels end) over (partition by source), 0) as n_labels_asked,
        coalesce(sum(case when is_asked then n_defaults end) over (partition by source), 0) as n_defaults_asked
    from {{ part }}_asked
    window since_then as (
        partition by source order by month desc rows between unbounded preceding and current row
    )
),

{{ part }}_bounds as (
    select
        source,
        max(n_months) as n_months,
        max(n_labels_asked) as n_labels_asked,
        max(n_defaults_asked) as n_defaults_asked,
        max(most_labels) as most_labels,
        coalesce(
            max(
                case
                    when n_labels_since >= greatest(n_labels_asked, split_min_rows) and n_defaults_since >= split_min_defaults
                        then month
                end
            ),
            min(month)
        ) as enough_from,
        coalesce(min(case when n_labels_since <= most_labels then month end), max(month)) as allowed_from,
        min(case when is_asked then month end) as asked_from
    from {{ part }}_totals
    group by source
),

{{ part }} as (
    select
        source,
        greatest(enough_from, allowed_from) as begins_at,
        '{{ part }} begins in ' || substr(cast(greatest(enough_from, allowed_from) as {{ dbt.type_string() }}), 1, 7)
        || case
            when greatest(enough_from, allowed_from) = asked_from then ''
            else case when allowed_from > enough_from then ' (more than its share' else ' (too few' end
                || ' in its last ' || cast(n_months as {{ dbt.type_string() }}) || ' months: labels '
                || cast(n_labels_asked as {{ dbt.type_string() }}) || ', defaults '
                || cast(n_defaults_asked as {{ dbt.type_string() }}) || ')'
        end as reason
    from {{ part }}_bounds
)
{%- endmacro %}

{#- Of the defaults of a group, those that happened within a month of the end of their term, as a share. -#}
{% macro share_ended_with_their_term() -%}
    avg(
        case
            when not outcomes.is_default then null
            when abs({{ months_between('applications.decided_at', 'outcomes.outcome_at') }} - applications.term_months) <= 1
                then cast(1 as double)
            else cast(0 as double)
        end
    )
{%- endmacro %}

{#-
    Whether a random split keeps its shares among defaults and among good loans exactly: with fewer than 500 defaults, or
    where the labels and defaults that the lender's file asks for may be more than a hash gives to 15 of 100.
-#}
{% macro needs_exact_shares(n_defaults, needed_share) -%}
    ({{ n_defaults }} < 500 or {{ needed_share }} > 0.13)
{%- endmacro %}
