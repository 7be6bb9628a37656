-- One row per application: what was known of its borrower before the decision.
with points as (
    select
        application_id as point_id,
        borrower_id,
        decided_at as as_of,
        decided_at as known_until
    from {{ ref('int_applications') }}
    where {{ in_built_months('decided_at') }}
),

{{ borrower_history('points') }}

select
    applications.application_id,
    applications.source,
    applications.decided_at,
    {%- for column in history_columns() %}
    history.{{ column }},
    {%- endfor %}
    history.latest_known_at
from {{ ref('int_applications') }} as applications
inner join history on history.point_id = applications.application_id
