"""Walks forward through a lender's history, month by month."""
