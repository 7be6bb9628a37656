"""dbt builds features and training rows from raw tables, and checks test them against the contract."""
