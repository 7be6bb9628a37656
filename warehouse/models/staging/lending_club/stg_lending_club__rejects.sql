-- One row per value of the loan file that cannot be typed; its loan is left out of staging.
{{ rejected_rows('lending_club', 'loans', lending_club_loans(), key=['loan_id']) }}
