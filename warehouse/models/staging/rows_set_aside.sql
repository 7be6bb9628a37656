-- One row per landing file: how many of its rows were set aside, and the three commonest reasons.
with quarantined as (
    select
        source,
        entity,
        file,
        line,
        column_name is null as is_no_row,
        coalesce(column_name || ' ', '') || substr(reason, 1, 200) as reason
    from {{ ref('quarantine') }}
    -- what a file says about itself is no loss
    where reason <> 'a note of the file about itself, not a row'
),

set_aside as (
    select
        source,
        entity,
        file,
        count(distinct line) as n_set_aside,
        count(distinct case when is_no_row then line end) as n_lines
    from quarantined
    group by source, entity, file
),

counted as (
    select
        source,
        entity,
        file,
        reason || ' (' || cast(count(distinct line) as {{ dbt.type_string() }}) || ')' as reason,
        row_number() over (partition by source, entity, file order by count(distinct line) desc, reason) as place
    from quarantined
    group by source, entity, file, reason
),

commonest as (
    select
        source,
        entity,
        file,
        concat_ws(
            '; ',
            max(case when place = 1 then reason end),
            max(case when place = 2 then reason end),
            max(case when place = 3 then reason end)
        ) as reasons
    from counted
    group by source, entity, file
),

-- another content of a name that is in use lands with its checksum in its name
named as (
    select
        *,
        replace(file, '-' || substr(sha256, 1, 8), '') as dropped_as
    from {{ source('raw', 'files') }}
),

files as (
    select
        *,
        row_number() over (
            partition by source, entity, dropped_as order by loaded_at desc, file desc
        ) > 1 as is_replaced,
        -- one bad row of an hour's three is not a broken file: what is pulled is one file that grows, and so is a day
        -- of a stream
        case
            when cursor_column = 'offset'
                then pulled_from || cast(cast(loaded_at as date) as {{ dbt.type_string() }})
            when pulled_at is not null then 'pulled'
            else file
        end as judged_with
    from named
)

select
    files.source,
    files.entity,
    files.file,
    files.loaded_at,
    files.n_rows + coalesce(set_aside.n_lines, 0) as n_rows,
    coalesce(set_aside.n_set_aside, 0) as n_set_aside,
    sum(coalesce(set_aside.n_set_aside, 0)) over (partition by files.source, files.entity, files.judged_with)
    / cast(
        sum(files.n_rows + coalesce(set_aside.n_lines, 0)) over (
            partition by files.source, files.entity, files.judged_with
        ) as double
    ) as set_aside_share,
    -- files of a lender that no model reads yet have the share of one that sets nothing
    coalesce(
        lenders.max_set_aside_share, cast({{ lender_settings().default.set_aside.max_share }} as double)
    ) as max_share,
    commonest.reasons,
    files.is_replaced,
    coalesce(
        position(':' || files.entity || '/' || files.file || ':' in lenders.accepted_files) > 0, false
    ) as is_accepted
from files
left join {{ ref('int_lenders') }} as lenders on lenders.source = files.source
left join set_aside
    on set_aside.source = files.source and set_aside.entity = files.entity and set_aside.file = files.file
left join commonest
    on commonest.source = files.source and commonest.entity = files.entity and commonest.file = files.file
