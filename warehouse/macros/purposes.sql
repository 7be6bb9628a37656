{#- What a loan may be for; the one list behind the typing, the tests and the contract's allowed values. -#}
{% macro accepted_purposes() -%}
    {{ return([
        'car', 'credit_card', 'debt_consolidation', 'educational', 'home_improvement', 'house', 'major_purchase',
        'medical', 'moving', 'other', 'renewable_energy', 'small_business', 'vacation', 'wedding',
    ]) }}
{%- endmacro %}
