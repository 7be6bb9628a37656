-- One row per value, or line, of a landing file that could not be taken; its row is left out of staging.
select
    source,
    entity,
    file,
    line,
    cast(null as {{ dbt.type_string() }}) as column_name,
    value,
    reason,
    loaded_at
from {{ source('raw', 'rejected_lines') }}
{% for lender in var('lenders') %}
union all
select
    source,
    entity,
    file,
    line,
    column_name,
    value,
    reason,
    loaded_at
from {{ ref('stg_' ~ lender ~ '__rejects') }}
{% endfor %}
