"""Shared names: layers of the asset graph, asset keys, and the pools."""

import dagster as dg

#: Every step that writes to the lake waits in this pool (limit 1 in dagster.yaml): unlike the lake's writer lease, it
#: shows in Dagster and has no time limit.
LAKE_WRITER = "lake_writer"
#: Steps that hold a training set take turns too: each may use its share of the machine's memory, half unless set.
TRAINING = "training"

QUARANTINE = dg.AssetKey(["raw", "quarantine"])
ROWS_SET_ASIDE = dg.AssetKey(["staging", "rows_set_aside"])
OUTCOMES = dg.AssetKey(["core", "int_outcome_versions"])
REBUILT_MONTHS = dg.AssetKey(["features", "rebuilt_months"])
EXPOSURES = dg.AssetKey(["training", "lbl_exposures"])
TRAINING_SET = dg.AssetKey(["training", "training_set"])
CANDIDATE = dg.AssetKey(["model", "candidate"])
EVALUATION = dg.AssetKey(["model", "evaluation"])
REGISTERED_MODEL = dg.AssetKey(["model", "registered_model"])
COMPARISON = dg.AssetKey(["models", "comparison"])
DEPLOYMENT = dg.AssetKey(["serving", "deployment"])
ONLINE_STORE = dg.AssetKey(["serving", "online_store"])
BATCH_DECISIONS = dg.AssetKey(["serving", "batch_decisions"])
ONLINE_DECISIONS = dg.AssetKey(["serving", "online_decisions"])
APPROVED_VERSION = dg.AssetKey(["serving", "approved_version"])
BATCH_SCORES = dg.AssetKey(["serving", "batch_scores"])
CANARY = dg.AssetKey(["serving", "canary"])
CHAMPION_WATCH = dg.AssetKey(["serving", "champion_watch"])
DEPLOYMENT_CHANGES = dg.AssetKey(["serving", "deployment_changes"])
PREDICTIONS = dg.AssetKey(["serving", "predictions"])
SHADOW_PREDICTIONS = dg.AssetKey(["serving", "shadow_predictions"])
FEATURE_DRIFT = dg.AssetKey(["monitoring", "feature_drift"])
SCORE_DRIFT = dg.AssetKey(["monitoring", "score_drift"])
DRIFT_REPORT = dg.AssetKey(["monitoring", "drift_report"])
FEATURE_SKEW = dg.AssetKey(["monitoring", "feature_skew"])
DECISION_HISTORY = dg.AssetKey(["monitoring", "decision_history"])
#: What is judged of a lender's data itself, with the tables and before anything is made of them.
DATA_CHECKS = tuple(dg.AssetKey(["monitoring", name]) for name in ("data_profile", "data_checks", "source_arrivals"))
ALERT_STATES = dg.AssetKey(["monitoring", "alert_states"])
PAGES = dg.AssetKey(["monitoring", "pages"])
PORTFOLIO = tuple(dg.AssetKey(["portfolio", name]) for name in ("bands", "concentration", "roll_rates", "vintages"))
ALERT_NOTIFICATIONS = dg.AssetKey(["monitoring", "alert_notifications"])
PUBLISHED_FIGURES = dg.AssetKey(["monitoring", "published_figures"])
FRESHNESS = dg.AssetKey(["monitoring", "freshness"])
BANDS = dg.AssetKey(["portfolio", "bands"])
BACKUP = dg.AssetKey(["maintenance", "backup"])
MAINTENANCE = dg.AssetKey(["maintenance", "lake_maintenance"])
PERFORMANCE = dg.AssetKey(["monitoring", "model_performance"])
PERFORMANCE_ESTIMATES = dg.AssetKey(["monitoring", "performance_estimates"])
WALK_FORWARD = dg.AssetKey(["monitoring", "walk_forward"])
