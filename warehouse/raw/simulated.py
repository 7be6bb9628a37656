"""The simulated lender's files, as ``warehouse.sources.simulated.generate`` writes them."""

from warehouse.raw.declaration import Source

SIMULATED = Source(
    name="simulated",
    title="Loanlake's simulated lender",
    entities={
        "applications": (
            "application_id",
            "borrower_id",
            "decided_at",
            "requested_amount",
            "term_months",
            "annual_rate",
            "purpose",
            "region",
            "annual_income",
            "income_verified",
            "employment_years",
            "home_ownership",
            "debt_to_income",
            "bureau_score",
            "n_open_accounts",
            "n_total_accounts",
            "n_inquiries_6m",
            "n_delinquencies_2y",
            "n_public_records",
            "revolving_balance",
            "revolving_utilisation",
            "oldest_account_on",
        ),
        "statements": (
            "borrower_id",
            "statement_on",
            "known_at",
            "credit_limit",
            "balance",
            "paid_amount",
            "months_past_due",
        ),
        "outcomes": ("application_id", "is_default", "outcome_at", "known_at", "loss_amount"),
        "demographics": ("borrower_id", "sex", "birth_year", "marital_status", "education"),
        "truth": ("application_id", "p_default", "is_shock_period"),
    },
)
