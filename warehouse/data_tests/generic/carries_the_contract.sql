{#- Columns in which a training table differs from the contract: its own leading columns, then every feature, in order. -#}
{% test carries_the_contract(model, leading, version) %}
{%- set expected = feature_columns(version) -%}
{%- set found = adapter.get_columns_in_relation(model) | map(attribute='name') | list if execute else [] -%}
{%- set differing = [] -%}
{%- if execute and found[leading:] != expected -%}
    {%- for column in expected if column not in found[leading:] -%} {%- do differing.append('missing: ' ~ column) -%} {%- endfor -%}
    {%- for column in found[leading:] if column not in expected -%} {%- do differing.append('unexpected: ' ~ column) -%} {%- endfor -%}
    {%- if not differing -%} {%- do differing.append('order differs') -%} {%- endif -%}
{%- endif -%}
{%- for difference in differing %}
select '{{ difference }}' as difference {{ 'union all' if not loop.last }}
{%- else %}
select cast(null as {{ dbt.type_string() }}) as difference where 1 = 0
{%- endfor %}
{% endtest %}
