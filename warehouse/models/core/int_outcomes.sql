-- One row per application whose outcome is known, of every lender.
{{ every_lender('outcomes') }}
