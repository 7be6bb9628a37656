-- One row per application of every lender, as it was known when the lender decided.
{%- set columns = contract_of('applications').keys() | list %}
{{ as_decided(ref('int_application_versions'), columns[:2] + ['source'] + columns[2:] + ['loaded_at']) }}
