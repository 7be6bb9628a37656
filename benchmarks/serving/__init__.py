"""Scores over HTTP: their cost beside a bare handler, by family, and under the load profile of a lender."""
