-- One row per source, segment and segment value: the cohort columns as of just after the source's clock, for the online
-- store. A row fills the column of its own segment.
with moments as (
    select distinct
        applications.source,
        {%- for segment in cohort_segments() if segment != 'all' %}
        applications.{{ segment }},
        {%- endfor %}
        clocks.online_as_of as as_of,
        clocks.known_until
    from {{ ref('int_applications') }} as applications
    inner join {{ ref('int_clocks') }} as clocks on clocks.source = applications.source
),

points as (
    {{ cohort_points('moments') }}
),

{{ cohort_rates('points') }}

select
    source,
    segment,
    segment_value,
    as_of
    {%- for segment, column in cohort_segments().items() -%}
    ,
    case when segment = '{{ segment }}' then default_rate end as {{ column }}
    {%- endfor %}
from cohort_rates
