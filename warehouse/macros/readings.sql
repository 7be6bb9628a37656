{#-
    Refuses a reading that would be ambiguous, or whose keys mean nothing, when dbt compiles it. A message names the reading,
    the key, what is required and what was found.
-#}
{% macro require_reading(reading) -%}
    {%- set format, known = reading.get('format'), sql_types().keys() | list -%}
    {{ require(reading, 'format', format in known, 'one of ' ~ known | join(', ')) }}
    {%- for key in reading if key not in keys_of(reading) -%}
        {{ require(reading, 'each key', false, 'one that ' ~ format ~ (' with values' if 'values' in reading else '') ~ ' has, '
            ~ keys_of(reading) | join(', '), found=key) }}
    {%- endfor -%}
    {%- if is_number(reading) -%} {{ require_number(reading) }} {%- elif is_dated(reading) -%} {{ require_date(reading) }} {%- endif -%}
{%- endmacro %}

{% macro require(reading, key, is_met, rule, found=none) -%}
    {%- if not is_met -%}
        {{ exceptions.raise_compiler_error(
            'reading ' ~ reading.name ~ ': ' ~ key ~ ' must be ' ~ rule ~ ': found '
            ~ (found if found is not none else reading[key] if key in reading else 'none')
        ) }}
    {%- endif -%}
{%- endmacro %}

{% macro keys_of(reading) -%}
    {%- set keys = ['name', 'from', 'format', 'required', 'suffix', 'missing', 'values'] -%}
    {%- if reading.format in ('text', 'id', 'boolean') -%}
        {{ return(keys + (['min', 'max'] if reading.format == 'text' else [])) }}
    {%- endif -%}
    {%- if reading.format in ('date', 'timestamp', 'month') -%}
        {{ return(keys + ([] if 'values' in reading else ['future', 'pattern', 'pivot', 'months']
            + ([] if reading.format == 'month' else ['epoch']))) }}
    {%- endif -%}
    {{ return(keys + ['min', 'max'] + ([] if 'values' in reading else ['decimal', 'thousands', 'negative']
        + (['sign', 'unsigned'] if reading.format == 'percent' else ['currency']))) }}
{%- endmacro %}

{% macro require_number(reading) -%}
    {{ require(reading, 'decimal', decimal_of(reading) in ('.', ','), '. or ,') }}
    {%- if 'thousands' in reading -%}
        {{ require(reading, 'thousands', reading.thousands in ('.', ',', "'", 'space', 'lakh'), "one of . , ' space and lakh") }}
        {{ require(reading, 'decimal', decimal_of(reading) != separators_of(reading), 'another character than thousands',
            found=decimal_of(reading) ~ ' for both') }}
    {%- endif -%}
    {%- if 'negative' in reading -%}
        {{ require(reading, 'negative', reading.negative in ('parentheses', 'trailing'), 'parentheses or trailing') }}
    {%- endif -%}
    {%- if reading.format == 'percent' -%}
        {{ require(reading, 'sign', reading.get('sign', 'required') in ('required', 'none', 'optional'), 'required, none or optional') }}
        {%- if reading.get('sign') == 'optional' -%}
            {{ require(reading, 'unsigned', reading.get('unsigned') in ('percent', 'fraction'),
                'percent or fraction where sign is optional, which says what 0.12 without a sign means') }}
        {%- else -%}
            {{ require(reading, 'unsigned', 'unsigned' not in reading, 'left out where sign is not optional') }}
        {%- endif -%}
    {%- endif -%}
    {%- if 'currency' in reading -%} {{ require_currency(reading) }} {%- endif -%}
{%- endmacro %}

{% macro require_currency(reading) -%}
    {%- set bare = [] -%}
    {{ require(reading, 'currency', currencies_of(reading), 'texts of 1 to ' ~ most_currency_characters() ~ ' characters') }}
    {%- set given = [reading.currency] if reading.currency is string else reading.currency -%}
    {%- for text in given -%}
        {%- set unfit = namespace(found=text | length > most_currency_characters() or text != text | trim) -%}
        {%- for character in '0123456789+-()%' ~ not_literal() if character in text -%} {%- set unfit.found = true -%} {%- endfor -%}
        {%- set stripped = text.strip(".,'") -%}
        {#- Rs and Rs. side by side: the point of Rs.5 would belong to either -#}
        {{ require(reading, 'currency', not unfit.found and stripped and stripped not in bare,
            'texts of 1 to ' ~ most_currency_characters() ~ ' characters without digits, signs, parentheses or outer blanks, '
            ~ "that differ in more than . , '") }}
        {%- do bare.append(stripped) -%}
    {%- endfor -%}
{%- endmacro %}

{% macro require_date(reading) -%}
    {%- if 'epoch' in reading -%}
        {%- set epochs = ['unix_seconds', 'unix_milliseconds'] if reading.format == 'timestamp' else ['sas', 'excel', 'unix'] -%}
        {{ require(reading, 'epoch', reading.epoch in epochs, 'one of ' ~ epochs | join(', ') ~ ' in a ' ~ reading.format) }}
        {{ require_no_digits(reading) }}
    {%- endif -%}
    {%- if 'months' in reading -%}
        {%- set names = month_names(reading, 'Month') -%}
        {{ require(reading, 'months', reading.months is not string and names | unique | list | length == 12 and names | length == 12
            and has_names(reading), 'twelve different names of a pattern with Mon or Month') }}
    {%- endif -%}
    {%- for pattern in patterns_of(reading) -%} {{ require_pattern(reading, pattern) }} {%- endfor -%}
    {{ require(reading, 'pivot', 'pivot' not in reading or has_short_year(reading), 'left out where no pattern has YY') }}
    {{ require_distinct(reading) }}
{%- endmacro %}

{#- Beside days as numbers, a pattern of digits alone would be a number of days too: DDMMYY. -#}
{% macro require_no_digits(reading) -%}
    {%- set most = {'unix_seconds': 10, 'unix_milliseconds': 13}.get(reading.epoch, 6) -%}
    {%- for pattern in patterns_of(reading) if 'pattern' in reading -%}
        {%- for shape in shapes_of(reading, pattern) -%}
            {%- set digits = shape | replace('.', '') -%}
            {{ require(reading, 'pattern', digits | replace('0', '') or digits | length > most,
                'none of at most ' ~ most ~ ' digits alone beside epoch', found=pattern) }}
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}

{% macro has_short_year(reading) -%}
    {%- for pattern in patterns_of(reading) if 'YY' in pattern and 'YYYY' not in pattern -%} {{ return(true) }} {%- endfor -%}
    {{ return(false) }}
{%- endmacro %}

{% macro require_pattern(reading, pattern) -%}
    {%- set tokens, counts = tokens_of(pattern), {} -%}
    {%- for token in tokens -%} {%- do counts.update({token.part: counts.get(token.part, 0) + 1}) -%} {%- endfor -%}
    {%- set n_days, n_hours, n_minutes = (0 if reading.format == 'month' else 1), counts.get('hour', 0), counts.get('minute', 0) -%}
    {{ require(reading, 'pattern', counts.get('year') == 1 and counts.get('month') == 1 and counts.get('day', 0) == n_days,
        'made of YYYY or YY, one of MM M Mon Month' ~ (', and DD or D' if n_days else ' and no day'), found=pattern) }}
    {{ require(reading, 'pattern', n_hours == n_minutes and n_hours <= n_days and counts.get('second', 0) <= n_minutes
        and counts.get('half', 0) <= n_hours,
        'with HH (or H) and mm once each or not at all, and SS and AM only after them' ~ ('' if n_days else '; none of them in a month'),
        found=pattern) }}
    {%- for token in tokens -%}
        {%- set is_separator = token.part == 'separator' -%}
        {{ require(reading, 'pattern', not is_separator or token.text not in '0123456789' ~ not_literal(),
            'made of tokens and of separators that are not digits, nor any of ' ~ not_literal(), found=pattern) }}
        {%- if token.digits is not none and token.digits | length == 2 and not loop.last -%}
            {{ require(reading, 'pattern', loop.nextitem.digits is none, 'such that a separator follows ' ~ token.text
                ~ ', which may have one digit or two', found=pattern) }}
        {%- endif -%}
    {%- endfor -%}
    {%- for twice in ['yy', 'dd', 'hh', 'ss', 'MMM'] -%}
        {{ require(reading, 'pattern', twice not in pattern, 'made of YYYY YY MM M Mon Month DD D HH H mm SS AM', found=pattern) }}
    {%- endfor -%}
    {%- if 'YY' in pattern and 'YYYY' not in pattern -%}
        {%- set pivot = reading.get('pivot') -%}
        {{ require(reading, 'pivot', pivot is integer and 0 <= pivot <= 99, 'a number from 0 to 99 beside YY: with 30, 30 is 1930 and 29 is 2029') }}
    {%- endif -%}
{%- endmacro %}

{#- Of two ways to read one text, none is right: DD/MM/YYYY and MM/DD/YYYY. -#}
{% macro require_distinct(reading) -%}
    {%- set seen = {} -%}
    {%- for pattern in patterns_of(reading) -%}
        {%- for shape in shapes_of(reading, pattern) -%}
            {{ require(reading, 'pattern', shape not in seen, 'a list of ways of which no two may match the same text',
                found=seen.get(shape, '') ~ ' and ' ~ pattern) }}
        {%- endfor -%}
        {%- for shape in shapes_of(reading, pattern) -%} {%- do seen.update({shape: pattern}) -%} {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}

{#- The texts that a pattern takes, with 0 for every digit and ,0 for the fraction of a second. -#}
{% macro shapes_of(reading, pattern) -%}
    {%- set found = namespace(shapes=['']) -%}
    {%- for token in tokens_of(pattern) -%}
        {%- set ends, longer = [], [] -%}
        {%- if token.part == 'separator' -%} {%- do ends.append(token.text | lower if has_names(reading) else token.text) -%}
        {%- elif token.part == 'half' -%} {%- do ends.extend(['am', 'a.m.']) -%}
        {%- elif token.digits is none -%} {%- do ends.extend(month_names(reading, token.text)) -%}
        {%- else -%}
            {%- for n in token.digits -%} {%- do ends.append('0' * n) -%} {%- endfor -%}
            {%- if token.part == 'second' -%} {%- do ends.append('00,0') -%} {%- endif -%}
        {%- endif -%}
        {%- for shape in found.shapes -%} {%- for end in ends -%} {%- do longer.append(shape ~ end) -%} {%- endfor -%} {%- endfor -%}
        {%- set found.shapes = longer -%}
    {%- endfor -%}
    {{ return(found.shapes) }}
{%- endmacro %}
