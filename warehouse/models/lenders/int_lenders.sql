-- One row per lender: the settings of its file that SQL reads, so that they are versioned with the lake.
{%- set settings = lender_settings() %}
{%- for source, message in settings.broken.items() %}
    {%- do exceptions.warn('the lender ' ~ source ~ ' is not built, and stays as it was last built: ' ~ message) %}
{%- endfor %}
{%- set kept = settings.broken.keys() | list if settings.broken and load_relation(this) is not none else [] %}
{%- for lender in settings.lenders %}
{%- set is_dated = lender.dates == 'known' %}
{%- set segments = ([''] + ['all'] + lender.cohort.segments + ['']) | join(',') %}
select
    {{ text_literal(lender.source) }} as source,
    {{ is_dated | lower }} as is_dated,
    cast({{ number_literal(lender.label.window_months) }} as integer) as label_window_months,
    {{ lender.label.outcome_lag_months }} as outcome_lag_months,
    {{ lender.label.window_lag_months }} as window_lag_months,
    {{ text_literal(lender.split.by if is_dated else 'hash') }} as split_by,
    {{ lender.split.tune_months }} as tune_months,
    {{ lender.split.test_months }} as test_months,
    {{ lender.split.min_rows }} as split_min_rows,
    {{ lender.split.min_defaults }} as split_min_defaults,
    cast({{ lender.split.max_share }} as double) as split_max_share,
    {{ text_literal(segments if is_dated else '') }} as cohort_segments,
    {{ lender.cohort.months }} as cohort_months,
    cast({{ lender.cohort.smoothing }} as double) as cohort_smoothing,
    cast({{ number_literal(lender.policy.cut_off.loss_given_default) }} as double) as loss_given_default,
    cast({{ lender.set_aside.max_share }} as double) as max_set_aside_share,
    {{ text_literal(':' ~ lender.set_aside.accepted_files | join(':') ~ ':') }} as accepted_files
{{ 'union all' if not loop.last or kept }}
{%- endfor %}
{%- if kept %}
select {{ model.columns.keys() | join(', ') }}
from {{ this }}
where source in ('{{ kept | join("', '") }}')
{%- endif %}
