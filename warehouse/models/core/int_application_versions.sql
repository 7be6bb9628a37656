-- One row per application and version of it, of every lender.
{{ versions_of('applications', key=['application_id']) }}
