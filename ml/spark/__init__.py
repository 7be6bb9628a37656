"""Models on Apache Spark's rows: scores by the bundle that the API serves."""

__all__ = ["scoring"]
