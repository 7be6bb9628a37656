-- One row per loan: the columns of the public file that the lender-neutral contracts need, typed.
{{ typed_rows(source('raw', 'lending_club_loans'), lending_club_loans(), key=['loan_id']) }}
