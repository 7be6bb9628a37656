"""Apache Spark beside DuckDB: sessions, the lake's raw tables as views, parity, and the way back to the lake."""

__all__ = ["commands", "comparing", "java", "lake_views", "options", "parity", "registering", "session", "tables"]
