-- One row per borrower, statement and version of it, of every lender.
{{ versions_of('statements', key=['borrower_id', 'statement_on']) }}
