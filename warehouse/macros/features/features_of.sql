{#-
    The features of a version, in table order: what each version up to it has added. The text of a version that was trained
    on is closed: whoever wants one of its features to mean something else gives it another name in the next version.
-#}
{% macro features_of(blocks) -%}
    {%- set written = [] -%}
    {%- for block in blocks if block | trim -%} {%- do written.append(block | trim) -%} {%- endfor -%}
    {{ return(written | join(',\n\n    ')) }}
{%- endmacro %}
