{#-
    Numbers as lenders write them, by these keys of a reading:

    decimal     the decimal sign: . (the default) or ,
    thousands   what separates groups of three digits: . or , or ' or space; or lakh, for commas as in 12,34,567
    currency    texts, of which one may stand before or after the number: ['$', 'USD']
    negative    how a number below 0 may be written besides -12: parentheses, (12), or trailing, 12-
    sign        of a percent: required (12.5%; the default), none (12.5 is 12.5 %), or optional (both are written)
    unsigned    what a percent without its sign means, where the sign is optional: percent (12.5 is 12.5 %) or fraction

    An exponent is accepted where no key but decimal and sign is given. A group never begins with 0: the comma of 0,123
    is hardly a separator of thousands.
-#}
{% macro is_number(reading) -%}
    {{ return('values' not in reading and reading.format in ('integer', 'count', 'bigint', 'double', 'amount', 'percent')) }}
{%- endmacro %}

{% macro decimal_of(reading) -%} {{ return(reading.get('decimal', '.')) }} {%- endmacro %}

{#- The characters that may separate groups: a space may be one at which no line breaks. -#}
{% macro separators_of(reading) -%}
    {%- set given = reading.get('thousands', '') -%}
    {{ return({'space': ' \u00a0\u2009\u202f', "'": "'\u2019", 'lakh': ','}.get(given, given)) }}
{%- endmacro %}

{#- The longest first: US$ is replaced before $. -#}
{% macro currencies_of(reading) -%}
    {%- set given, found = reading.get('currency', []), [] -%}
    {%- for length in range(most_currency_characters(), 0, -1) -%}
        {%- for text in ([given] if given is string else given) if text | length == length -%} {%- do found.append(text) -%} {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{% macro most_currency_characters() -%} {{ return(10) }} {%- endmacro %}

{#- What may stand between a number and its currency. -#}
{% macro gaps() -%} {{ return(' \u00a0\u202f') }} {%- endmacro %}

{% macro has_exponents(reading) -%}
    {{ return('thousands' not in reading and 'currency' not in reading and 'negative' not in reading) }}
{%- endmacro %}

{% macro number_grammar(reading) -%}
    {%- set point = '[' ~ decimal_of(reading) ~ ']' -%}
    {%- set unit = {'required': ' *%', 'none': '', 'optional': '(?: *%)?'}[reading.get('sign', 'required')]
        if reading.format == 'percent' else '' -%}
    {%- set fraction = '(?:' ~ point ~ '[0-9]*)?' -%}
    {%- set plain = '(?:[0-9]+' ~ fraction ~ '|' ~ point ~ '[0-9]+)' -%}
    {%- if has_exponents(reading) -%}
        {{ return('[+-]?' ~ plain ~ '(?:[eE][+-]?[0-9]{1,3})?' ~ unit) }}
    {%- endif -%}

    {%- if reading.get('thousands') == 'lakh' -%} {%- set grouped = '[1-9][0-9]?(?:,[0-9]{2})*,[0-9]{3}' -%}
    {%- else -%} {%- set grouped = '[1-9][0-9]{0,2}(?:[' ~ separators_of(reading) ~ '][0-9]{3})+' -%}
    {%- endif -%}
    {%- set body = ('(?:' ~ grouped ~ fraction ~ '|' ~ plain ~ ')' if 'thousands' in reading else plain) ~ unit -%}
    {%- set forms = ['[+-]?' ~ body] -%}
    {%- if reading.get('negative') == 'parentheses' -%} {%- do forms.append('[(]' ~ body ~ '[)]') -%} {%- endif -%}
    {%- if reading.get('negative') == 'trailing' -%} {%- do forms.append(body ~ ' ?-') -%} {%- endif -%}
    {{ return((with_currency(reading, forms, body) if 'currency' in reading else forms) | join('|')) }}
{%- endmacro %}

{#- One currency, before or after the number; the sign or the parentheses inside or outside. -#}
{% macro with_currency(reading, forms, body) -%}
    {%- set texts, gap = [], '[' ~ gaps() ~ ']*' -%}
    {%- for text in currencies_of(reading) -%} {%- do texts.append(literal_grammar(text)) -%} {%- endfor -%}
    {%- set currency, number = '(?:' ~ texts | join('|') ~ ')', '(?:' ~ forms | join('|') ~ ')' -%}
    {%- set found = [number, currency ~ gap ~ number, number ~ gap ~ currency, '[+-] ?' ~ currency ~ gap ~ body] -%}
    {%- if reading.get('negative') == 'parentheses' -%}
        {%- do found.append('[(](?:' ~ currency ~ gap ~ body ~ '|' ~ body ~ gap ~ currency ~ ')[)]') -%}
    {%- elif reading.get('negative') == 'trailing' -%}
        {%- do found.append(body ~ gap ~ currency ~ ' ?-') -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}

{#- A text of a declaration as a regular expression: no character of it has a meaning of its own. -#}
{% macro literal_grammar(text) -%}
    {%- set found = [] -%}
    {%- for character in text -%} {%- do found.append('[' ~ character ~ ']') -%} {%- endfor -%}
    {{ return(found | join) }}
{%- endmacro %}

{#- Characters that have a meaning even there. -#}
{% macro not_literal() -%} {{ return('[]^\\') }} {%- endmacro %}

{#- The number as every engine reads it. The grammar has one currency at most, and one sign or pair of parentheses. -#}
{% macro number_text(reading) -%}
    {%- set text = step(reading, 'formed') -%}
    {%- if has_exponents(reading) -%}
        {%- set text = 'trim(replace(' ~ text ~ ", '%', ''))" if reading.format == 'percent' else text -%}
        {{ return(text if decimal_of(reading) == '.' else 'replace(' ~ text ~ ", ',', '.')") }}
    {%- endif -%}
    {%- set bare = namespace(text=text) -%}
    {%- for currency in currencies_of(reading) -%}
        {%- set bare.text = 'replace(' ~ bare.text ~ ', ' ~ text_literal(currency) ~ ", '')" -%}
    {%- endfor -%}
    {#- translate: the decimal sign becomes a point, and characters without a counterpart are left out -#}
    {%- set characters = decimal_of(reading) ~ separators_of(reading) ~ '%+-()' ~ gaps() -%}
    {{ return(
        "case when translate(" ~ bare.text ~ ", '-(', '') <> " ~ bare.text ~ " then '-' else '' end"
        ~ ' || translate(' ~ bare.text ~ ', ' ~ text_literal(characters) ~ ", '.')"
    ) }}
{%- endmacro %}

{#- Null where a double cannot hold what was written: 1e999 would be infinite, and 1e-400 nothing. -#}
{% macro finite_number(reading) -%}
    {%- set number = step(reading, 'cast') -%}
    case
        when {{ number }} = 0 and not {{ matches(step(reading, 'plain'), '[+-]?[0.]+(?:[eE].*)?') }} then null
        when {{ number }} between -1e300 and 1e300 then {{ number }}
    end
{%- endmacro %}

{#- The value of a number's format from its number; null where it does not fit. -#}
{% macro number_value(reading) -%}
    {%- set plain, number = step(reading, 'plain'), step(reading, 'number') -%}
    {%- if reading.format in ('integer', 'count') -%}
    {#- through double: '36.0' is whole, and try_cast('2.5' as integer) rounds on one engine and cuts on another -#}
    case when floor({{ number }}) = {{ number }} then try_cast({{ number }} as integer) end
    {%- elif reading.format == 'bigint' -%}
    {#- digits alone are read as they are: from 2^53 on, double takes two ids for one -#}
    case
        when {{ matches(plain, '[+-]?[0-9]+') }} then try_cast({{ plain }} as bigint)
        when floor({{ number }}) = {{ number }} and abs({{ number }}) < 9007199254740992 then try_cast({{ number }} as bigint)
    end
    {%- elif reading.format == 'percent' and reading.get('unsigned') == 'fraction' -%}
    case when {{ matches(step(reading, 'formed'), '[^%]*') }} then {{ number }} else {{ number }} / 100 end
    {%- elif reading.format == 'percent' -%} {{ number }} / 100
    {%- else -%} {{ number }}
    {%- endif -%}
{%- endmacro %}

{#- What a number must be, by an example. -#}
{% macro number_rule(reading) -%}
    {%- set is_whole = reading.format in ('integer', 'count', 'bigint') -%}
    {%- set what = 'a percentage' if reading.format == 'percent' else 'a whole number' if is_whole else 'a number' -%}
    {%- set separator = separators_of(reading)[:1] -%}
    {%- set digits = '12,34,567' if reading.get('thousands') == 'lakh' else '1' ~ separator ~ '234' if separator else '12' -%}
    {%- set example = digits ~ ('' if is_whole else decimal_of(reading) ~ '5') -%}
    {%- set currency = (currencies_of(reading) | last) ~ example if 'currency' in reading else '' -%}
    {%- set below = {'parentheses': ', below 0 also (' ~ example ~ ')', 'trailing': ', below 0 also ' ~ example ~ '-'}
        .get(reading.get('negative'), '') -%}
    {%- if reading.format == 'percent' -%}
        {%- set sign = {'required': ' with its sign, such as ' ~ example ~ '%', 'none': ' without its sign, such as ' ~ example,
            'optional': ', such as ' ~ example ~ '%, or ' ~ ('a fraction, such as 0' ~ decimal_of(reading) ~ '125'
                if reading.get('unsigned') == 'fraction' else example)}[reading.get('sign', 'required')] -%}
        {{ return(what ~ sign ~ below) }}
    {%- endif -%}
    {%- if has_exponents(reading) and decimal_of(reading) == '.' -%} {{ return(what) }} {%- endif -%}
    {{ return(what ~ ' such as ' ~ example ~ (' or ' ~ currency if currency else '') ~ below) }}
{%- endmacro %}
