"""Compare decisions with training rows and with outcomes, month by month: drift, skew, performance, retraining."""

__all__ = [
    "drift",
    "drift_figures",
    "drift_report",
    "drift_sql",
    "feature_skew",
    "limits",
    "performance",
    "samples",
    "skew_sql",
    "tables",
]
