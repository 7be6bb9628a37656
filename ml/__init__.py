"""Fitted mathematics: train, calibrate, evaluate, explain, gate, bundle. Imports no dagster, litestar or dbt."""
