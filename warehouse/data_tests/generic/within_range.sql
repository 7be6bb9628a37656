{#-
    Values outside [low, high], or outside the limits that their lender's file sets for the column; a missing value is
    another test's matter.
-#}
{% test within_range(model, column_name, low, high) %}
{%- set own = {'low': [], 'high': []} %}
{%- for lender in lender_settings().lenders if column_name in lender.limits %}
    {%- set its_low, its_high = lender.limits[column_name] %}
    {%- do own.low.append('when source = ' ~ text_literal(lender.source) ~ ' then ' ~ its_low) %}
    {%- do own.high.append('when source = ' ~ text_literal(lender.source) ~ ' then ' ~ its_high) %}
{%- endfor %}
select {{ column_name }}
from {{ model }}
where
    {%- if own.low %}
    {{ column_name }} < case {{ own.low | join(' ') }} else {{ low }} end
    or {{ column_name }} > case {{ own.high | join(' ') }} else {{ high }} end
    {%- else %}
    {{ column_name }} < {{ low }} or {{ column_name }} > {{ high }}
    {%- endif %}
{% endtest %}
