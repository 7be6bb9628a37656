-- One row per outcome and version of it, of every lender.
{{ versions_of('outcomes', key=['application_id']) }}
