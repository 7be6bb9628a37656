{#-
    What a cell may look like, by format: the grammar of its whole text without the blanks around it, as a regular
    expression in the syntax that RE2, Java and Python share. It is applied before any cast, so what an engine's cast
    would tolerate (50_00, "epoch", a date followed by anything) never becomes a value.

    warehouse/values/formats.py states those that the API's doors read by too; a test compares the two, character by character.
-#}
{% macro grammars() -%}
    {%- set number = '[+-]?(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+)(?:[eE][+-]?[0-9]{1,3})?' -%}
    {%- set day = '[0-9]{4}-[0-9]{2}-[0-9]{2}' -%}
    {%- set clock = '(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]+)?)?' -%}
    {%- set offset = '(?:[Zz]|UTC|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)' -%}
    {#- neither control characters nor invisible ones: soft hyphen, zero-width, direction marks -#}
    {%- set visible = '[^\\x00-\\x1f\\x7f-\\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]+' -%}
    {{ return({
        'text': visible,
        'id': visible,
        'integer': number,
        'count': number,
        'bigint': number,
        'double': number,
        'amount': number,
        'percent': number,
        'boolean': any_case(['true', 'false', 'yes', 'no', 'on', 'off', 't', 'f', 'y', 'n']) ~ '|[01](?:[.]0+)?',
        'date': day ~ '(?:[Tt ]00:00(?::00(?:[.]0+)?)?)?',
        'timestamp': day ~ '(?:[Tt ]' ~ clock ~ '(?: ?' ~ offset ~ ')?)?',
    }) }}
{%- endmacro %}

{#- Words in upper or lower case, without (?i), by which RE2 and Python also take a long s for s. -#}
{% macro any_case(words) -%}
    {%- set found = [] -%}
    {%- for word in words -%}
        {%- set letters = [] -%}
        {%- for letter in word -%} {%- do letters.append('[' ~ letter | upper ~ letter ~ ']') -%} {%- endfor -%}
        {%- do found.append(letters | join) -%}
    {%- endfor -%}
    {{ return(found | join('|')) }}
{%- endmacro %}

{#- A whole number that passed through a float: an id all the same. -#}
{% macro whole_float() -%} {{ return('([0-9]+)[.]0+') }} {%- endmacro %}

{#- A number that a spreadsheet or a float has rounded: no id any more. -#}
{% macro rounded_number() -%} {{ return('[0-9]+(?:[.][0-9]+[eE][+]?|[eE][+])[0-9]+') }} {%- endmacro %}

{#- Texts that mean "no value" in every format except text, and in columns without values; compared in lower case. -#}
{% macro null_words() -%}
    {{ return(['', 'nan', 'na', 'n/a', '#n/a', '<na>', 'nat', 'null', 'none']) }}
{%- endmacro %}

{#- Every blank of Unicode (tab and the space separators), and the zero-width ones, which are invisible at an end. -#}
{% macro blanks() -%}
    {{ return(
        '\u0009\u0020\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000'
        '\u200b\u2060\ufeff'
    ) }}
{%- endmacro %}

{#- The most characters of an id, and of a text unless its reading says otherwise: what a request and the online store take. -#}
{% macro most_characters(format) -%} {{ return(80 if format == 'id' else 100) }} {%- endmacro %}

{#- The grammar that a reading's text must match. -#}
{% macro grammar_of(reading) -%}
    {%- if is_number(reading) -%} {{ return(number_grammar(reading)) }}
    {%- elif 'epoch' in reading -%}
        {{ return(epoch_grammar(reading) ~ ('|' ~ patterns_grammar(reading) if 'pattern' in reading else '')) }}
    {%- elif patterns_of(reading) -%} {{ return(patterns_grammar(reading)) }}
    {%- else -%} {{ return(grammars()[reading.format]) }}
    {%- endif -%}
{%- endmacro %}

{#- Text as an SQL literal, whatever quotes it holds. -#}
{% macro text_literal(text) -%} {{ return(dbt.string_literal(dbt.escape_single_quotes(text | string))) }} {%- endmacro %}

{#- Whether the whole text matches a regular expression. -#}
{% macro matches(text, pattern) -%} {{ return(adapter.dispatch('matches', 'loanlake')(text, pattern)) }} {%- endmacro %}
{% macro default__matches(text, pattern) -%} regexp_full_match({{ text }}, {{ text_literal(pattern) }}) {%- endmacro %}
{#- Java's $ also matches before a line feed at the end; a backslash in a literal of Spark stands doubled -#}
{% macro spark__matches(text, pattern) -%}
    {{ text }} rlike {{ text_literal(('\\A(?:' ~ pattern ~ ')\\z') | replace('\\', '\\\\')) }}
{%- endmacro %}

{#- The text without blanks around it. Two thirds of the time go into looking for other blanks than spaces: only where needed. -#}
{% macro trimmed(text) -%} {{ return(adapter.dispatch('trimmed', 'loanlake')(text)) }} {%- endmacro %}
{% macro default__trimmed(text) -%}
    case when {{ matches(text, '[!-~](?:.*[!-~])?') }} then {{ text }} else trim({{ text }}, {{ text_literal(blanks()) }}) end
{%- endmacro %}
{% macro spark__trimmed(text) -%} trim(both {{ text_literal(blanks()) }} from {{ text }}) {%- endmacro %}

{#- The text in Unicode's composed form (NFC): what looks alike is alike. -#}
{% macro composed(text) -%} {{ return(adapter.dispatch('composed', 'loanlake')(text)) }} {%- endmacro %}
{#- nfc_normalize ends at a NUL, which the grammar must still see -#}
{% macro default__composed(text) -%}
    case when contains({{ text }}, chr(0)) then {{ text }} else nfc_normalize({{ text }}) end
{%- endmacro %}
{#- Spark has no such function: a text that may need it (it holds a combining mark) is none that can be read -#}
{% macro spark__composed(text) -%}
    case when {{ text }} rlike '[\u0300-\u036f\u1100-\u11ff\u212a\u212b]' then concat({{ text }}, '\u0001') else {{ text }} end
{%- endmacro %}

{#- What an id's text becomes: composed, and 1001.0 is 1001. -#}
{% macro id_text(text) -%}
    case
        when {{ matches(text, whole_float()) }} then split_part({{ text }}, '.', 1)
        else {{ composed(text) }}
    end
{%- endmacro %}
