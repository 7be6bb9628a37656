{#-
    The rows of every application with the window in which a default counts: clock_at, has_window, window_ends_at, and
    lag_months, the time after the window in which its last outcomes become known.
-#}
{% macro label_windows() -%}
    select
        applications.application_id,
        applications.source,
        applications.decided_at,
        clocks.clock_at,
        lenders.is_dated,
        lenders.window_lag_months,
        lenders.is_dated and lenders.label_window_months is not null as has_window,
        -- nobody knows when an undated loan was decided: its outcome is a label as soon as it is known
        case
            when not lenders.is_dated then applications.decided_at
            else {{ months_later(
                'applications.decided_at', 'coalesce(lenders.label_window_months, applications.term_months)'
            ) }}
        end as window_ends_at,
        case
            when not lenders.is_dated then 0
            when lenders.label_window_months is null then lenders.outcome_lag_months
            else lenders.window_lag_months
        end as lag_months
    from {{ ref('int_applications') }} as applications
    inner join {{ ref('int_clocks') }} as clocks on clocks.source = applications.source
    inner join {{ ref('int_lenders') }} as lenders on lenders.source = applications.source
{%- endmacro %}
