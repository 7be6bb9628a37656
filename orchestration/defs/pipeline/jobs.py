"""The jobs: what is materialised together, by a person, a schedule or a sensor.

Assets are chosen by key and group, so that a dbt model added to a layer joins the jobs by itself.
"""

import dagster as dg

from orchestration.lib.layers import (
    APPROVED_VERSION,
    BATCH_DECISIONS,
    BATCH_SCORES,
    CANARY,
    DECISION_HISTORY,
    DEPLOYMENT,
    DEPLOYMENT_CHANGES,
    DRIFT_REPORT,
    ONLINE_DECISIONS,
    ONLINE_STORE,
    PREDICTIONS,
    QUARANTINE,
    REBUILT_MONTHS,
    TRAINING_SET,
    WALK_FORWARD,
)

_maintenance = dg.AssetSelection.groups("maintenance")
_at_times = dg.AssetSelection.assets(CANARY, APPROVED_VERSION, BATCH_SCORES, WALK_FORWARD, REBUILT_MONTHS)
#: Everything but the lake's maintenance, what runs only for a canary, an approval or a caller's batch, and the walks
#: through history and the months built again, which are partitioned by month, not part of a lender's day.
MAIN_PATH = dg.AssetSelection.all() - _at_times - _maintenance
_raw = dg.AssetSelection.groups("raw")
# the quarantine is built with staging, of the rows that can't be typed, and the decisions' history with the features,
# whose text it shares: without them the step would be run in part
_tables = (
    dg.AssetSelection.groups("staging", "core", "features", "training")
    | dg.AssetSelection.assets(QUARANTINE, DECISION_HISTORY)
) - dg.AssetSelection.assets(TRAINING_SET, REBUILT_MONTHS)
_model = dg.AssetSelection.assets(TRAINING_SET, DEPLOYMENT) | dg.AssetSelection.groups("model")
_scores = dg.AssetSelection.assets(ONLINE_STORE, BATCH_DECISIONS, PREDICTIONS)
_report = dg.AssetSelection.assets(DRIFT_REPORT)
_monitoring = dg.AssetSelection.groups("monitoring") - _report - dg.AssetSelection.assets(DECISION_HISTORY)

default_risk = dg.define_asset_job(
    "default_risk",
    selection=MAIN_PATH,
    description="The main path: files in, a checked, gated and deployed model, scores and what they are worth. "
    "`loanlake run` executes it.",
)
refresh = dg.define_asset_job(
    "refresh",
    selection=_raw | _tables | _scores,
    description="New files: load, rebuild and check the tables, refresh the online store, score what is new.",
)
retrain = dg.define_asset_job(
    "retrain",
    selection=_tables | _model | _scores | _monitoring,
    description="Rebuild the training rows with the labels that have matured, train, judge, and deploy what passes.",
)
ingest_decisions = dg.define_asset_job(
    "ingest_decisions",
    selection=dg.AssetSelection.assets(ONLINE_DECISIONS, PREDICTIONS, DEPLOYMENT_CHANGES),
    description="Move the API's decisions and reported outcomes from its log into the lake.",
)
move_canary = dg.define_asset_job(
    "move_canary",
    selection=dg.AssetSelection.assets(CANARY, DEPLOYMENT_CHANGES),
    description="Judge the canary by what it and the champion answered, and move it on or back.",
)
publish_approved = dg.define_asset_job(
    "publish_approved",
    selection=dg.AssetSelection.assets(APPROVED_VERSION, DEPLOYMENT_CHANGES),
    description="Put the version in service that a person approved over HTTP.",
)
score_batch = dg.define_asset_job(
    "score_batch",
    selection=dg.AssetSelection.assets(BATCH_SCORES),
    description="Score a batch that a caller of the API asked for: rows that were sent, or a table of the lake.",
)
monitor = dg.define_asset_job(
    "monitor", selection=_monitoring, description="Drift, skew, performance on mature labels, alerts."
)
drift_report = dg.define_asset_job(
    "drift_report",
    selection=_report,
    description="Evidently's report on the newest month scored, or on those asked for.",
)
maintain = dg.define_asset_job(
    "maintain",
    selection=_maintenance,
    description="Merge the lake's small files, expire old snapshots that nothing names, prune the API's decision log.",
)
rebuild_months = dg.define_asset_job(
    "rebuild_months",
    selection=dg.AssetSelection.assets(REBUILT_MONTHS),
    description="Build the features and training rows of past months again, whole; a backfill of many is one run.",
)
