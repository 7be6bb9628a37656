"""Batches of the API: what waits is scored by a run of its own."""
