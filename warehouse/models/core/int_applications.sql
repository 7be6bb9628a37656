-- One row per application of every lender.
{{ every_lender('applications') }}
