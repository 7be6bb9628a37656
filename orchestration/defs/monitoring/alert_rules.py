"""When a champion must be trained again: the rules of ``ml.monitoring.limits`` on the figures in the lake.

Judges the newest month measured; an unreadable lake is a LakeError, not a month without an alarm. Reasons go into the
sensor's tick and the run's tags.
"""

import json
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb

from ml.monitoring.limits import features_have_drifted, performance_has_decayed, scores_have_drifted
from ml.registry.deployment import Deployment
from warehouse.errors import NoLakeError
from warehouse.lake.connection import connect
from warehouse.settings import Settings

#: New mature labels, as a share of the champion's training set, and a minimum number.
NEW_LABEL_SHARE, MIN_NEW_LABELS = 0.05, 500


@dataclass(frozen=True)
class Alarm:
    """Why a source's model should be trained again; ``key`` is equal while the reason is the same."""

    source: str
    key: str
    reason: str


def drift_alarm(settings: Settings, champion: Deployment) -> Alarm | None:
    """The scores, or most features, have drifted in the newest judged month."""
    scores = _row(
        settings,
        "select month, psi, is_drifted from monitoring.score_drift where {champion} and psi_limit is not null "
        "order by month desc limit 1",
        champion,
    )
    features = _row(
        settings,
        "select month, count(*) filter (where is_drifted), count(*) from monitoring.feature_drift where {champion} "
        "and missing_share_limit is not null group by month order by month desc limit 1",
        champion,
    )
    if scores and (reason := scores_have_drifted(scores[0], psi=scores[1], is_drifted=scores[2])):
        return _alarm(champion, "drift", scores[0], reason)
    if features and (reason := features_have_drifted(features[0], n_drifted=features[1], n_features=features[2])):
        return _alarm(champion, "drift", features[0], reason)
    return None


def decay_alarm(settings: Settings, champion: Deployment) -> Alarm | None:
    """Mature labels show worse ranking than in the test, or more defaults than expected."""
    found = _row(
        settings,
        "select month, auc, auc_limit, default_rate, default_rate_limit from monitoring.model_performance "
        "where {champion} and auc_limit is not null order by month desc limit 1",
        champion,
    )
    if found is None:
        return None
    month, auc, auc_limit, default_rate, rate_limit = found
    reason = performance_has_decayed(
        month, auc=auc, auc_limit=auc_limit, default_rate=default_rate, default_rate_limit=rate_limit
    )
    return _alarm(champion, "decay", month, reason) if reason else None


def new_labels_alarm(settings: Settings, champion: Deployment) -> Alarm | None:
    """Enough labels have matured since the champion was trained for another training."""
    row = _row(settings, "select count(*) from training.trn_default where source = $1", champion)
    lineage = json.loads((champion.bundle_directory(settings) / "lineage.json").read_text())
    seen = sum(lineage["rows"].values())
    step = max(MIN_NEW_LABELS, round(NEW_LABEL_SHARE * seen))
    new = (int(row[0]) if row else 0) - seen
    if new < step:
        return None
    # the key changes with each step, so a refused training is repeated with more labels
    return _alarm(champion, "labels", new // step, f"{new:,} labels have matured since training on {seen:,}")


def _alarm(champion: Deployment, kind: str, at: date | int, reason: str) -> Alarm:
    when = at.isoformat() if isinstance(at, date) else str(at)
    key = f"{kind}-{champion.model_name}-{champion.model_version}-{when}"
    return Alarm(champion.source, key, f"{champion.model_name} version {champion.model_version}: {reason}")


def _row(settings: Settings, query: str, champion: Deployment) -> tuple[Any, ...] | None:
    parameters: list[object] = [champion.source]
    if "{champion}" in query:
        query = query.format(champion="source = $1 and model_name = $2 and model_version = $3")
        parameters += [champion.model_name, champion.model_version]
    try:
        con = connect(settings)
    except NoLakeError:
        return None
    with closing(con):
        try:
            return con.execute(query, parameters).fetchone()
        except duckdb.CatalogException:
            return None  # not measured yet
