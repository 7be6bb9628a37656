{#-
    Dates and times as lenders write them, by these keys of a reading:

    pattern     how they are written, or a list of ways of which no two may match the same text: 'DD/MM/YYYY'. Made of
                YYYY or YY, MM or M, DD or D, Mon (Jan) or Month (January), HH or H, mm, SS, AM, and separators. M, D
                and H have one digit or two. SS may have a fraction. AM stands for AM and PM, also a.m. and p.m., in any
                case: the hour is then 1 to 12. In a date, the time is the first moment of the day.
    pivot       of YY: the first year of the 1900s; with 30, 30 is 1930 and 29 is 2029
    months      twelve names, from January on, in place of the English ones
    epoch       numbers in place of dates, or beside those of a pattern: days since 1960 (sas), since 1970 (unix) or of
                Excel (excel); of a time unix_seconds or unix_milliseconds

    A text of a pattern is rewritten as YYYY-MM-DD HH:MM:SS, and then read as every other one.
-#}
{% macro pattern_tokens() -%}
    {%- set two, one_or_two = '[0-9]{2}', '[0-9]{1,2}' -%}
    {#- the longest first; digits: how many a text may have; none: a name -#}
    {{ return([
        {'text': 'YYYY', 'part': 'year', 'digits': [4], 'grammar': '[0-9]{4}'},
        {'text': 'YY', 'part': 'year', 'digits': [2], 'grammar': two},
        {'text': 'Month', 'part': 'month', 'digits': none, 'grammar': none},
        {'text': 'Mon', 'part': 'month', 'digits': none, 'grammar': none},
        {'text': 'MM', 'part': 'month', 'digits': [2], 'grammar': two},
        {'text': 'M', 'part': 'month', 'digits': [1, 2], 'grammar': one_or_two},
        {'text': 'DD', 'part': 'day', 'digits': [2], 'grammar': two},
        {'text': 'D', 'part': 'day', 'digits': [1, 2], 'grammar': one_or_two},
        {'text': 'HH', 'part': 'hour', 'digits': [2], 'grammar': '(?:[01][0-9]|2[0-3])'},
        {'text': 'H', 'part': 'hour', 'digits': [1, 2], 'grammar': '(?:[01]?[0-9]|2[0-3])'},
        {'text': 'mm', 'part': 'minute', 'digits': [2], 'grammar': '[0-5][0-9]'},
        {'text': 'SS', 'part': 'second', 'digits': [2], 'grammar': '[0-5][0-9](?:[.][0-9]+)?'},
        {'text': 'AM', 'part': 'half', 'digits': none, 'grammar': '[AaPp](?:[Mm]|[.][Mm][.])'},
    ]) }}
{%- endmacro %}

{#- A pattern's tokens in order; a separator is a token of the part `separator`. -#}
{% macro tokens_of(pattern) -%}
    {%- set found, to_skip = [], namespace(n=0) -%}
    {%- for at in range(pattern | length) -%}
        {%- if to_skip.n -%} {%- set to_skip.n = to_skip.n - 1 -%}
        {%- else -%}
            {%- set token = namespace(found={'text': pattern[at], 'part': 'separator', 'digits': none}) -%}
            {%- for known in pattern_tokens() | reverse if pattern[at:].startswith(known.text) -%} {%- set token.found = known -%} {%- endfor -%}
            {%- do found.append(token.found) -%}
            {%- set to_skip.n = token.found.text | length - 1 -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#- A reading's patterns; a month's is Mon-YYYY unless it says otherwise. -#}
{% macro patterns_of(reading) -%}
    {%- set given = reading.get('pattern', 'Mon-YYYY' if reading.format == 'month' and 'values' not in reading else []) -%}
    {{ return([given] if given is string else given) }}
{%- endmacro %}

{% macro has_names(reading) -%}
    {%- for pattern in patterns_of(reading) if 'Mon' in pattern -%} {{ return(true) }} {%- endfor -%}
    {{ return(false) }}
{%- endmacro %}

{#- The names that a token takes, in lower case, from January on. -#}
{% macro month_names(reading, token) -%}
    {%- set english = ['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october',
        'november', 'december'] -%}
    {%- set names = [] -%}
    {%- for name in reading.get('months', english) -%}
        {%- do names.append((name if token == 'Month' or 'months' in reading else name[:3]) | lower) -%}
    {%- endfor -%}
    {{ return(names) }}
{%- endmacro %}

{% macro names_grammar(reading, token) -%}
    {%- set found = [] -%}
    {%- for name in month_names(reading, token) -%} {%- do found.append(literal_grammar(name)) -%} {%- endfor -%}
    {{ return(found | join('|')) }}
{%- endmacro %}

{#- The text that patterns are compared with: names in any case. -#}
{% macro pattern_text(reading, text) -%}
    {%- if not has_names(reading) -%} {{ return(text) }} {%- endif -%}
    {{ return('lower(' ~ (composed(text) if 'months' in reading else text) ~ ')') }}
{%- endmacro %}

{#- The grammar of one pattern, each token a group if they are to be picked out. -#}
{% macro pattern_grammar(reading, pattern, grouped=false) -%}
    {%- set found, has_clock, has_half = [], reading.format == 'timestamp', 'AM' in pattern -%}
    {%- set first_moment = {'hour': '12' if has_half else '00', 'minute': '00', 'second': '00(?:[.]0+)?',
        'half': '[Aa](?:[Mm]|[.][Mm][.])'} -%}
    {%- for token in tokens_of(pattern) -%}
        {%- if token.part == 'separator' -%}
            {%- do found.append(literal_grammar(token.text | lower if has_names(reading) else token.text)) -%}
        {%- else -%}
            {%- set grammar = names_grammar(reading, token.text) if token.grammar is none
                else first_moment.get(token.part, token.grammar) if not has_clock
                else {'HH': '0[1-9]|1[0-2]', 'H': '0?[1-9]|1[0-2]'}[token.text] if token.part == 'hour' and has_half
                else token.grammar -%}
            {%- set grammar = '00?' if grammar == '00' and token.text == 'H' else grammar -%}
            {%- do found.append(('(' if grouped else '(?:') ~ grammar ~ ')') -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found | join) }}
{%- endmacro %}

{% macro patterns_grammar(reading) -%}
    {%- set found = [] -%}
    {%- for pattern in patterns_of(reading) -%} {%- do found.append(pattern_grammar(reading, pattern)) -%} {%- endfor -%}
    {{ return(found | join('|')) }}
{%- endmacro %}

{#- SQL of the texts of a pattern's parts: by place as far as every token before has one length, then by its group. -#}
{% macro parts_of(reading, pattern) -%}
    {%- set parts, at, text = {}, namespace(place=1, is_fixed=true, group=0), step(reading, 'formed') -%}
    {%- for token in tokens_of(pattern) -%}
        {%- set lengths = [1] if token.part == 'separator' else token.digits if token.digits is not none
            else [2, 4] if token.part == 'half' else month_names(reading, token.text) | map('length') | unique | list -%}
        {%- set is_fixed = lengths | length == 1 and token.part != 'second' -%}
        {%- if token.part != 'separator' -%}
            {%- set at.group = at.group + 1 -%}
            {%- do parts.update({token.part: 'substr(' ~ text ~ ', ' ~ at.place ~ ', ' ~ lengths[0] ~ ')' if at.is_fixed and is_fixed
                else group_of(text, pattern_grammar(reading, pattern, grouped=true), at.group)}) -%}
            {%- do parts.update({token.part ~ '_token': token}) -%}
        {%- endif -%}
        {%- set at.is_fixed, at.place = at.is_fixed and is_fixed, at.place + lengths[0] -%}
    {%- endfor -%}
    {{ return(parts) }}
{%- endmacro %}

{% macro group_of(text, pattern, number) -%}
    {{ return('regexp_extract(' ~ text ~ ', ' ~ text_literal('^' ~ pattern ~ '$') ~ ', ' ~ number ~ ')') }}
{%- endmacro %}

{#- The text of a pattern as YYYY-MM-DD or YYYY-MM-DD HH:MM:SS. -#}
{% macro rewritten(reading, pattern) -%}
    {%- set parts = parts_of(reading, pattern) -%}
    {%- set year = parts.year if parts.year_token.text == 'YYYY'
        else "case when cast(" ~ parts.year ~ " as integer) >= " ~ reading.pivot ~ " then '19' else '20' end || " ~ parts.year -%}
    {%- set month = two_digits(parts.month, parts.month_token) if parts.month_token.digits is not none
        else month_number(reading, parts.month, parts.month_token) -%}
    {%- set day = two_digits(parts.day, parts.day_token) if 'day' in parts else "'01'" -%}
    {%- set date = year ~ " || '-' || " ~ month ~ " || '-' || " ~ day -%}
    {%- if reading.format != 'timestamp' or 'hour' not in parts -%} {{ return(date) }} {%- endif -%}
    {{ return(
        date ~ " || ' ' || " ~ hour_of(parts) ~ " || ':' || " ~ parts.minute
        ~ (" || ':' || " ~ parts.second if 'second' in parts else '')
    ) }}
{%- endmacro %}

{#- The hour of 24: of 12 before noon and after it, 12 is the first. -#}
{% macro hour_of(parts) -%}
    {%- if 'half' not in parts -%} {{ return(two_digits(parts.hour, parts.hour_token)) }} {%- endif -%}
    {%- set noon = 'case when lower(substr(' ~ parts.half ~ ", 1, 1)) = 'p' then 12 else 0 end" -%}
    {{ return(
        'lpad(cast(try_cast(' ~ parts.hour ~ ' as integer) % 12 + ' ~ noon ~ ' as ' ~ dbt.type_string() ~ "), 2, '0')"
    ) }}
{%- endmacro %}

{% macro two_digits(text, token) -%}
    {{ return(text if token.digits | length == 1 else 'lpad(' ~ text ~ ", 2, '0')") }}
{%- endmacro %}

{% macro month_number(reading, text, token) -%}
    {%- set cases = [] -%}
    {%- for name in month_names(reading, token.text) -%}
        {%- do cases.append(' when ' ~ text_literal(name) ~ " then '" ~ '%02d' % loop.index ~ "'") -%}
    {%- endfor -%}
    {{ return('case ' ~ text ~ cases | join ~ ' end') }}
{%- endmacro %}

{#- The text of a date or time as the engine reads it. -#}
{% macro date_text(reading) -%}
    {%- set text, patterns = step(reading, 'formed'), patterns_of(reading) -%}
    {%- if not patterns -%} {{ return(text) }} {%- endif -%}
    {%- if patterns | length == 1 and 'epoch' not in reading -%} {{ return(rewritten(reading, patterns[0])) }} {%- endif -%}
    {%- set cases = [] -%}
    {%- if 'epoch' in reading -%} {%- do cases.append(' when ' ~ matches(text, epoch_grammar(reading)) ~ ' then ' ~ text) -%} {%- endif -%}
    {%- for pattern in patterns -%}
        {%- do cases.append(' when ' ~ matches(text, pattern_grammar(reading, pattern)) ~ ' then ' ~ rewritten(reading, pattern)) -%}
    {%- endfor -%}
    {{ return('case' ~ cases | join ~ ' end') }}
{%- endmacro %}

{#- The value of a date, month or timestamp from its text. -#}
{% macro date_value(reading) -%}
    {%- set text = step(reading, 'plain') -%}
    {%- set value = utc_time(text) if reading.format == 'timestamp' else 'try_cast(substr(' ~ text ~ ', 1, 10) as date)' -%}
    {%- if 'epoch' not in reading -%} {{ return(value) }} {%- endif -%}
    {%- if 'pattern' not in reading -%} {{ return(epoch_value(reading)) }} {%- endif -%}
    {{ return('case when ' ~ matches(text, epoch_grammar(reading)) ~ ' then ' ~ epoch_value(reading) ~ ' else ' ~ value ~ ' end') }}
{%- endmacro %}

{#- What a date or time must be. -#}
{% macro date_rule(reading) -%}
    {%- set what = {'date': 'a date', 'month': 'a month', 'timestamp': 'a time'}[reading.format] -%}
    {%- if 'epoch' in reading -%}
        {{ return((what ~ ', ' ~ patterns_of(reading) | join(' or ') ~ ', or ' if 'pattern' in reading else '') ~ {
            'sas': 'a whole number of days since 1960-01-01', 'unix': 'a whole number of days since 1970-01-01',
            'excel': "a day's number in Excel, such as 45352 for 2024-03-01", 'unix_seconds': 'a number of seconds since 1970-01-01',
            'unix_milliseconds': 'a number of milliseconds since 1970-01-01',
        }[reading.epoch]) }}
    {%- elif patterns_of(reading) -%}
        {%- set names = ' with the months ' ~ reading.months | join(', ') if 'months' in reading else '' -%}
        {{ return(what ~ (', ' ~ patterns_of(reading) | join(' or ') if 'pattern' in reading else ', such as Dec-2011') ~ names) }}
    {%- endif -%}
    {{ return({
        'date': 'a date, YYYY-MM-DD',
        'timestamp': 'a time, YYYY-MM-DD HH:MM:SS, with an offset such as +01:00 or in UTC; named time zones are not read',
    }[reading.format]) }}
{%- endmacro %}

{% macro epoch_grammar(reading) -%}
    {#- a day in milliseconds is not a number of seconds: it has three digits more -#}
    {{ return({'unix_seconds': '[+-]?[0-9]{1,10}(?:[.][0-9]{1,6})?', 'unix_milliseconds': '[+-]?[0-9]{1,13}(?:[.][0-9]{1,3})?'}
        .get(reading.epoch, '[+-]?[0-9]{1,6}(?:[.]0+)?')) }}
{%- endmacro %}

{% macro epoch_value(reading) -%}
    {%- set text = step(reading, 'plain') -%}
    {%- if reading.epoch in ('unix_seconds', 'unix_milliseconds') -%}
        {%- set scale = 1000000 if reading.epoch == 'unix_seconds' else 1000 -%}
        {{ return(time_after_microseconds('cast(cast(' ~ text ~ ' as decimal(24, 6)) * ' ~ scale ~ ' as bigint)')) }}
    {%- endif -%}
    {%- set days = 'cast(cast(' ~ text ~ ' as decimal(18, 6)) as integer)' -%}
    {%- if reading.epoch == 'excel' -%}
        {#- Excel has a 29 February 1900: its numbers up to 60 mean other days -#}
        {{ return('case when ' ~ days ~ ' > 60 then ' ~ days_after('1899-12-30', days) ~ ' end') }}
    {%- endif -%}
    {{ return(days_after({'sas': '1960-01-01', 'unix': '1970-01-01'}[reading.epoch], days)) }}
{%- endmacro %}
