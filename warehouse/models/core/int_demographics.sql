-- One row per borrower of every lender that knows them. Read by fairness audits, never by features.
{{ every_lender('demographics') }}
