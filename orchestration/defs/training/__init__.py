"""Training rows become a candidate; the candidate is judged and registered."""
