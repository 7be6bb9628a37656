-- One row per source: the newest moment of which something is known. Labels mature, and online features stand, by it.
with known as (
    select
        source,
        max(known_at) as known_at
    from {{ ref('int_applications') }}
    group by source
    union all
    select
        source,
        max(known_at) as known_at
    from {{ ref('int_statements') }}
    group by source
    union all
    select
        source,
        max(known_at) as known_at
    from {{ ref('int_outcomes') }}
    group by source
),

clocks as (
    select
        source,
        {% if var('as_of') is none -%}
        max(known_at) as clock_at
        {%- else -%}
        least(max(known_at), cast('{{ var("as_of") }}' as timestamp)) as clock_at
        {%- endif %}
    from known
    group by source
)

select
    source,
    clock_at,
    -- the first moment of the next day: all that is known by the clock counts, and cohorts are taken by the day
    cast(date_trunc('day', clock_at) as timestamp) + interval 1 day as online_as_of
from clocks
