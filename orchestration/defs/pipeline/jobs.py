"""The jobs: assets materialised together, selected by key and group, so that new dbt models join.

A job with an asset about one lender's model runs for one lender, its partition; tables of all lenders it builds whole.
"""

import dagster as dg

from orchestration.lib import layers

_maintenance = dg.AssetSelection.groups("maintenance")
_at_times = dg.AssetSelection.assets(
    layers.CANARY,
    layers.CHAMPION_WATCH,
    layers.APPROVED_VERSION,
    layers.BATCH_SCORES,
    layers.COMPARISON,
    layers.WALK_FORWARD,
    layers.REBUILT_MONTHS,
)
#: Everything except maintenance, steps only for a canary, a new champion, an approval, a batch or a comparison of
#: families, and the walks and rebuilt months, which are partitioned by month.
MAIN_PATH = dg.AssetSelection.all() - _at_times - _maintenance
_raw = dg.AssetSelection.groups("raw")
# the quarantine of untypable rows is built with staging, and with the features the decisions' history, whose text it
# shares, and the checks of the data: otherwise the step would run in part
_tables = (
    dg.AssetSelection.groups("staging", "core", "features", "training")
    | dg.AssetSelection.assets(layers.QUARANTINE, layers.DECISION_HISTORY, *layers.DATA_CHECKS)
) - dg.AssetSelection.assets(layers.TRAINING_SET, layers.REBUILT_MONTHS)
_model = dg.AssetSelection.assets(layers.TRAINING_SET, layers.DEPLOYMENT) | (
    dg.AssetSelection.groups("model") - dg.AssetSelection.assets(layers.COMPARISON)
)
_scores = dg.AssetSelection.assets(layers.ONLINE_STORE, layers.BATCH_DECISIONS, layers.PREDICTIONS)
_figures = dg.AssetSelection.assets(layers.PUBLISHED_FIGURES)
_report = dg.AssetSelection.assets(layers.DRIFT_REPORT)
# alerts are about the versions in service, and the changes say which
_monitoring = (
    (dg.AssetSelection.groups("portfolio", "monitoring") | dg.AssetSelection.assets(layers.DEPLOYMENT_CHANGES))
    - _report
    - dg.AssetSelection.assets(layers.DECISION_HISTORY, *layers.DATA_CHECKS)
)

default_risk = dg.define_asset_job(
    "default_risk",
    selection=MAIN_PATH,
    description="The main path: load files, check, train, apply gates, deploy, score, measure. "
    "`loanlake run` executes it.",
)
refresh = dg.define_asset_job(
    "refresh",
    selection=_raw | _tables | _scores | _figures,
    description="New files: load, rebuild and check the tables, refresh the online store, score what is new, publish "
    "how far the data reach.",
)
retrain = dg.define_asset_job(
    "retrain",
    selection=_tables | _model | _scores | _monitoring,
    description="Rebuild the training rows with newly matured labels, train, judge, and publish by the rule.",
)
ingest_decisions = dg.define_asset_job(
    "ingest_decisions",
    selection=dg.AssetSelection.assets(layers.ONLINE_DECISIONS, layers.PREDICTIONS, layers.DEPLOYMENT_CHANGES),
    description="Move the API's decisions and reported outcomes from its log into the lake.",
)
move_canary = dg.define_asset_job(
    "move_canary",
    selection=dg.AssetSelection.assets(layers.CANARY, layers.DEPLOYMENT_CHANGES),
    description="Compare the canary with the champion, and move it on or back.",
)
roll_back = dg.define_asset_job(
    "roll_back",
    selection=dg.AssetSelection.assets(layers.CHAMPION_WATCH, layers.DEPLOYMENT_CHANGES),
    description="Compare a new champion with the version before, and go back if it fails or is slow.",
)
publish_approved = dg.define_asset_job(
    "publish_approved",
    selection=dg.AssetSelection.assets(layers.APPROVED_VERSION, layers.DEPLOYMENT_CHANGES),
    description="Serve the version that a person approved over HTTP.",
)
score_batch = dg.define_asset_job(
    "score_batch",
    selection=dg.AssetSelection.assets(layers.BATCH_SCORES),
    description="Score a batch of the API: sent rows, or a table of the lake.",
)
monitor = dg.define_asset_job(
    "monitor", selection=_monitoring, description="The portfolio, drift, skew, performance on mature labels, alerts."
)
send_alerts = dg.define_asset_job(
    "send_alerts",
    selection=dg.AssetSelection.assets(layers.ALERT_NOTIFICATIONS),
    description="Notify the routes of what is new, more severe or resolved.",
)
drift_report = dg.define_asset_job(
    "drift_report",
    selection=_report,
    description="Evidently's report on the newest scored month, or on the requested months.",
)
maintain = dg.define_asset_job(
    "maintain",
    selection=dg.AssetSelection.assets(layers.MAINTENANCE),
    description="Merge the lake's small files, expire old snapshots that no model names, prune the API's decision log.",
)
back_up = dg.define_asset_job(
    "back_up",
    selection=dg.AssetSelection.assets(layers.BACKUP),
    description="Back up the home to LOANLAKE_BACKUP_TARGET, and delete old backups.",
)
rebuild_months = dg.define_asset_job(
    "rebuild_months",
    selection=dg.AssetSelection.assets(layers.REBUILT_MONTHS),
    description="Rebuild the features and training rows of past months; a backfill of many months is one run.",
)
