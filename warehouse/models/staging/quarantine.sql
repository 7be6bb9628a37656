-- One row per value, or line, of a landing file that could not be taken; its row is left out of staging.
with set_aside as (
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
)

select
    set_aside.source,
    set_aside.entity,
    set_aside.file,
    set_aside.line,
    set_aside.column_name,
    set_aside.value,
    set_aside.reason,
    set_aside.loaded_at,
    files.pulled_from,
    messages.topic_partition,
    messages.topic_offset
from set_aside
left join {{ source('raw', 'files') }} as files
    on files.source = set_aside.source and files.entity = set_aside.entity and files.file = set_aside.file
left join {{ source('raw', 'messages') }} as messages
    on messages.source = set_aside.source
    and messages.entity = set_aside.entity
    and messages.file = set_aside.file
    and messages.line = set_aside.line
