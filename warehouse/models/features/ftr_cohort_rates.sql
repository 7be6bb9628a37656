-- One row per source, segment, segment value and day of decisions: the default rate of the outcomes known by then.
with moments as (
    select distinct
        source,
        {%- for segment in cohort_segments() if segment != 'all' %}
        {{ segment }},
        {%- endfor %}
        -- the day's first moment: stricter than the decision, and one point for all of a day's decisions
        cast(date_trunc('day', decided_at) as timestamp) as as_of,
        cast(date_trunc('day', decided_at) as timestamp) as known_until
    from {{ ref('int_applications') }}
    where {{ in_built_months('decided_at') }}
),

points as (
    {{ cohort_points('moments') }}
),

{{ cohort_rates('points') }}

select
    source,
    segment,
    segment_value,
    as_of,
    n_outcomes,
    n_defaults,
    default_rate,
    latest_known_at
from cohort_rates
