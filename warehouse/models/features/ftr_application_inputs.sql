-- One row per application: everything a row-level feature may read, as it was known before the decision.
{%- set leading = ['application_id', 'borrower_id', 'decided_at', 'known_at'] %}
select
    applications.application_id,
    applications.borrower_id,
    applications.source,
    applications.decided_at
    {%- for column in contract_of('applications') if column not in leading -%}
    ,
    applications.{{ column }}
    {%- endfor %}
    {%- for column in history_columns() -%}
    ,
    history.{{ column }}
    {%- endfor %}
    {%- for segment, column in cohort_segments().items() -%}
    ,
    cohort_{{ segment }}.default_rate as {{ column }}
    {%- endfor %}
from {{ ref('int_applications') }} as applications
inner join {{ ref('ftr_application_history') }} as history on history.application_id = applications.application_id
{%- for segment in cohort_segments() %}
left join {{ ref('ftr_cohort_rates') }} as cohort_{{ segment }}
    on cohort_{{ segment }}.source = applications.source
    and cohort_{{ segment }}.segment = '{{ segment }}'
    and cohort_{{ segment }}.segment_value = {{ segment_value(segment, 'applications') }}
    and cohort_{{ segment }}.as_of = date_trunc('day', applications.decided_at)
{%- endfor %}
