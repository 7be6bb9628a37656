-- One row per borrower and statement of every lender.
{{ every_lender('statements') }}
