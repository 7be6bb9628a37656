{#- Which months of a monthly table the rows changed since its last build can affect. One macro a kind of table. -#}

{#- For a table of one lender (meta lender): only its rows of a relation that has a source; nothing for a table of all. -#}
{% macro where_of_lender() -%}
    {%- if model.config.meta.get('lender') -%} where source = {{ text_literal(model.config.meta.lender) }} {%- endif -%}
{%- endmacro %}

{#-
    The months of the changed rows themselves: for tables whose rows are made of rows of the same month. `besides`: names
    of models whose changes the caller follows otherwise.
-#}
{% macro months_of_inputs(build, besides=[]) -%}
    select cast(null as timestamp) as month
    {%- for id in build.changed if id not in graph.nodes or graph.nodes[id].name not in besides %}
        {%- set moment = graph.nodes[id].config.meta.month_of if id in graph.nodes else none -%}
        {%- if not moment -%}
            {{ exceptions.raise_compiler_error(
                this ~ " reads " ~ build.inputs[id] ~ ", of which no month_of says which months its rows affect: give its "
                ~ "config meta one, or this model a macro of its own (meta affected_months)"
            ) }}
        {%- endif %}
    union all
    select {{ moment }} as month from {{ changes_of(build.inputs[id], build) }} as changes {{ where_of_lender() }}
    {%- endfor %}
{%- endmacro %}

{#-
    Outcomes whose row changed, or whose application's row did: as they are and as they were, with the application's
    borrower and lender as they are and as they were. `applications`: the model that says whose they are, by any version or
    by the one known when decided.
-#}
{% macro changed_outcomes(build, applications='int_applications') -%}
    select
        applications.borrower_id,
        applications.source,
        outcomes.known_at
    from {{ changes_of(ref('int_outcome_versions'), build) }} as outcomes
    inner join (
        select application_id, borrower_id, source from {{ ref(applications) }}
        union
        select application_id, borrower_id, source from {{ changes_of(ref(applications), build) }} as changes
    ) as applications on applications.application_id = outcomes.application_id
    union all
    select
        applications.borrower_id,
        applications.source,
        outcomes.known_at
    from {{ changes_of(ref(applications), build) }} as applications
    inner join {{ ref('int_outcome_versions') }} as outcomes on outcomes.application_id = applications.application_id
{%- endmacro %}

{#-
    History: the changed applications, and those of their borrower that were decided after a changed row was known. Some of
    these do not count it yet, an application that was handed in and not decided: more months than need be, never fewer.
-#}
{% macro months_of_history(build) -%}
    select decided_at as month from {{ changes_of(ref('int_applications'), build) }} as changes
    union all
    select points.as_of as month
    from (
        select borrower_id, decided_at as as_of, decided_at as known_until from {{ ref('int_applications') }}
    ) as points
    inner join (
        select borrower_id, known_at, cast(null as date) as statement_on
        from {{ changes_of(ref('int_application_versions'), build) }} as changes
        union all
        select borrower_id, known_at, cast(null as date) as statement_on
        from ({{ changed_outcomes(build, 'int_application_versions') }}) as outcomes
        union all
        select borrower_id, known_at, statement_on from {{ changes_of(ref('int_statements'), build) }} as changes
    ) as changed
        on changed.borrower_id = points.borrower_id
        and {{ known_before('changed', 'points') }}
        -- of other rows than statements there is no day after which they no longer count
        and coalesce({{ is_recent('changed', 'points', history_months()) }}, true)
{%- endmacro %}

{#-
    A lender's own history: its changed applications, and those of a borrower that were decided after a changed row of one
    of the other tables was known. However old the row is: the lender's macro says how far back it looks.
-#}
{% macro months_of_own_history(build) -%}
    {%- set applications -%} (select * from {{ ref('int_applications') }} {{ where_of_lender() }}) {%- endset -%}
    select decided_at as month from {{ changes_of(ref('int_applications'), build) }} as changes {{ where_of_lender() }}
    union all
    select points.as_of as month
    from (
        select borrower_id, decided_at as as_of, decided_at as known_until from {{ applications }} as applications
    ) as points
    inner join (
        {%- for id in build.changed %}
        {%- set of_outcomes = graph.nodes[id].name == 'int_outcome_versions' %}
        select borrower_id, known_at
        from {{ '(' ~ changed_outcomes(build) ~ ')' if of_outcomes else changes_of(build.inputs[id], build) }} as changes
        {{ where_of_lender() }}
        union all
        {%- endfor %}
        select cast(null as {{ dbt.type_string() }}) as borrower_id, cast(null as timestamp) as known_at
    ) as changed
        on changed.borrower_id = points.borrower_id
        and {{ known_before('changed', 'points') }}
{%- endmacro %}

{#-
    Cohorts: the days of the changed applications, those in whose window a changed outcome was known, and every day of a
    lender whose cohorts are counted in another way than before.
-#}
{% macro months_of_cohort_rates(build) -%}
    select decided_at as month from {{ changes_of(ref('int_applications'), build) }} as changes
    union all
    select days.as_of as month
    from (select distinct source, as_of from {{ this }}) as days
    inner join (
        select distinct source, cast(date_trunc('day', known_at) as timestamp) as known_on
        from ({{ changed_outcomes(build) }}) as outcomes
    ) as changed
        on changed.source = days.source
        and changed.known_on < days.as_of
    inner join {{ ref('int_lenders') }} as lenders
        on lenders.source = days.source
        and changed.known_on >= {{ months_later('days.as_of', '-lenders.cohort_months') }}
    union all
    select days.as_of as month
    from (
        -- a lender whose cohorts were not counted at all has no day here
        select source, as_of from {{ this }}
        union
        select source, decided_at as as_of from {{ ref('int_applications') }}
    ) as days
    inner join (
        select source from {{ changes_of(ref('int_lenders'), build) }} as changes
        group by source
        having count(distinct concat_ws(' ', cohort_segments, cohort_months, cohort_smoothing)) > 1
    ) as counted_otherwise on counted_otherwise.source = days.source
{%- endmacro %}

{#- Training rows: the months whose features changed, and those of applications with another label or part of training. -#}
{% macro months_of_training(build) -%}
    {%- set own = 'application_id, decided_at, split, is_default, label_known_at' -%}
    {{ months_of_inputs(build, besides=['int_lenders']) }}
    {%- set labels -%} select {{ own }} from {{ ref('lbl_default_splits') }} {{ where_of_lender() }} {%- endset %}
    union all
    select decided_at as month from ({{ labels }} except select {{ own }} from {{ this }}) as now_different
    union all
    select decided_at as month from (select {{ own }} from {{ this }} except {{ labels }}) as once_different
{%- endmacro %}
