"""Families whose models are sums of trees, served by one twin and one table of contributions."""

__all__ = ["boosted_trees", "catboost", "hazard", "on_spark", "random_forest"]
