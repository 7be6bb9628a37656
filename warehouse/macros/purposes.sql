{#- What a loan may be for. YAML cannot call macros: tests/architecture holds the lists there equal to this one. -#}
{% macro accepted_purposes() -%}
    {{ return([
        'car', 'credit_card', 'debt_consolidation', 'educational', 'home_improvement', 'house', 'major_purchase',
        'medical', 'moving', 'other', 'renewable_energy', 'small_business', 'vacation', 'wedding',
    ]) }}
{%- endmacro %}
