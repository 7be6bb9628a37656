"""Deploys a registered model, scores applications, and returns decisions to the lake."""
