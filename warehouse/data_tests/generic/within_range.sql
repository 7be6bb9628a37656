{#-
    Values outside [low, high], or outside the limits that their lender's file sets for the column; a missing value is
    another test's matter. What a lender whose file cannot be read may have, nobody knows.
-#}
{% test within_range(model, column_name, low, high) %}
{%- set own, settings = {'low': [], 'high': []}, lender_settings() %}
{%- set broken = settings.broken.keys() | list %}
{%- for lender in settings.lenders if column_name in lender.limits %}
    {%- set its_low, its_high = lender.limits[column_name] %}
    {%- do own.low.append('when source = ' ~ text_literal(lender.source) ~ ' then ' ~ its_low) %}
    {%- do own.high.append('when source = ' ~ text_literal(lender.source) ~ ' then ' ~ its_high) %}
{%- endfor %}
select {{ column_name }}
from {{ model }}
where
    {%- if broken and 'source' in adapter.get_columns_in_relation(model) | map(attribute='name') | list %}
    source not in ('{{ broken | join("', '") }}') and
    {%- endif %}
    (
    {%- if own.low %}
    {{ column_name }} < case {{ own.low | join(' ') }} else {{ low }} end
    or {{ column_name }} > case {{ own.high | join(' ') }} else {{ high }} end
    {%- else %}
    {{ column_name }} < {{ low }} or {{ column_name }} > {{ high }}
    {%- endif %}
    )
{% endtest %}
