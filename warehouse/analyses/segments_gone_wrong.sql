-- One row per segment and model version with enough matured decisions: the defaults that the scores expected, and those
-- that came. z: the difference in standard deviations of independent loans. Of twenty segments about one is beyond 2 by
-- chance. Another least number: dbt compile --vars '{least_decisions: 500}'.
{%- set segments = ['purpose', 'region', 'home_ownership', 'income_verified', 'term_months'] %}
with matured as (
    select
        decisions.source,
        decisions.model_name,
        decisions.model_version,
        decisions.probability,
        cast(labels.is_default as integer) as defaulted
        {%- for segment in segments -%}
        ,
        coalesce(cast(applications.{{ segment }} as varchar), 'missing') as {{ segment }}
        {%- endfor %}
    from {{ source('serving', 'predictions') }} as decisions
    inner join {{ ref('lbl_default') }} as labels on labels.application_id = decisions.application_id
    inner join {{ ref('int_applications') }} as applications on applications.application_id = decisions.application_id
),

compared as (
    {%- for segment in segments %}
    select
        source,
        model_name,
        model_version,
        '{{ segment }}' as segment,
        {{ segment }} as segment_member,
        count(*) as n_matured,
        sum(probability) as expected_defaults,
        sum(defaulted) as n_defaults,
        (sum(defaulted) - sum(probability)) / sqrt(sum(probability * (1 - probability))) as z
    from matured
    group by source, model_name, model_version, {{ segment }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select * from compared
where n_matured >= {{ var('least_decisions', 100) }}
order by abs(z) desc, segment asc, segment_member asc
