"""Batches of the API: each waiting batch is scored by its own run."""
