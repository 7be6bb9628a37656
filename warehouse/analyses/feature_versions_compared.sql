-- One row per feature of the later version: whether it is new, and on how many applications the two versions differ.
-- Other versions: dbt compile --vars '{earlier: 2, later: 3}'.
{%- set earlier, later = var('earlier', 1), var('later', 2) %}
{%- set before, after = feature_columns(earlier), feature_columns(later) %}
{%- set figures = ['count(*) as n_rows'] %}
{%- for feature in after %}
{%- do figures.append('count(later.' ~ feature ~ ') as known_' ~ feature) %}
{%- endfor %}
{%- for feature in after if feature in before %}
{%- set differs = 'earlier.' ~ feature ~ ' is distinct from later.' ~ feature %}
{%- do figures.append('count(case when ' ~ differs ~ ' then 1 end) as differs_' ~ feature) %}
{%- endfor %}
with counted as (
    select
        {{ figures | join(',\n        ') }}
    from {{ ref('ftr_application', v=later) }} as later
    inner join {{ ref('ftr_application', v=earlier) }} as earlier on earlier.application_id = later.application_id
)
{% for feature in after %}
select
    {{ loop.index }} as place,
    '{{ feature }}' as feature,
    {{ 'false' if feature in before else 'true' }} as is_new,
    n_rows,
    known_{{ feature }} / cast(n_rows as double) as known_share,
    {{ 'differs_' ~ feature if feature in before else 'cast(null as bigint)' }} as n_different
from counted
{{ 'union all' if not loop.last }}
{%- endfor %}
order by place
