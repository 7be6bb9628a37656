{%- set online_as_of = "cast(date_trunc('day', clock_at) as timestamp) + interval 1 day" -%}
-- One row per source: the newest moment of which something is known. Labels mature, and online features stand, by it.
with known as (
    select
        source,
        max(known_at) as known_at,
        max(known_at) as newest_at
    from {{ ref('int_applications') }}
    group by source
    union all
    select
        source,
        cast(null as timestamp) as known_at,
        max(greatest(known_at, superseded_at)) as newest_at
    from {{ ref('int_application_versions') }}
    group by source
    {%- for versions in ('int_statements', 'int_outcome_versions') %}
    union all
    select
        source,
        -- how long after all else a file restates rows says nothing of how far it reaches
        max(case when is_known_by_load is not true then known_at end) as known_at,
        max(greatest(known_at, superseded_at)) as newest_at
    from {{ ref(versions) }}
    group by source
    {%- endfor %}
),

clocks as (
    select
        source,
        {% if var('as_of') is none -%}
        max(known_at) as clock_at
        {%- else -%}
        least(max(known_at), cast('{{ var("as_of") }}' as timestamp)) as clock_at
        {%- endif %},
        max(newest_at) as newest_at
    from known
    group by source
)

select
    source,
    clock_at,
    -- the first moment of the next day: all that is known by the clock counts, and cohorts are taken by the day
    {{ online_as_of }} as online_as_of,
    -- online features know every version that was loaded
    {% if var('as_of') is none -%}
    greatest({{ online_as_of }}, newest_at + interval 1 second) as known_until
    {%- else -%}
    {{ online_as_of }} as known_until
    {%- endif %}
from clocks
