-- One row per borrower: the history columns as of just after the source's clock, for the online store.
with borrowers as (
    select
        borrower_id,
        source
    from {{ ref('int_application_versions') }}
    union
    select
        borrower_id,
        source
    from {{ ref('int_statements') }}
),

points as (
    select
        borrowers.borrower_id as point_id,
        borrowers.borrower_id,
        borrowers.source,
        clocks.online_as_of as as_of,
        clocks.known_until
    from borrowers
    inner join {{ ref('int_clocks') }} as clocks on clocks.source = borrowers.source
),

{{ borrower_history('points') }}

select
    points.borrower_id,
    points.source,
    points.as_of
    {%- for column in history_columns() -%}
    ,
    history.{{ column }}
    {%- endfor %}
from points
inner join history on history.point_id = points.point_id
