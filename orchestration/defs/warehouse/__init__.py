"""Raw tables become features and training rows, by dbt, and are checked against the contract."""
