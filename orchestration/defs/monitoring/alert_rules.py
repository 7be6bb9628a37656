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

from ml.monitoring.limits import f1_is_low, features_have_drifted, performance_has_decayed, scores_have_drifted
from ml.registry.deployment import Deployment
from warehouse.errors import NoLakeError
from warehouse.lake.connection import connect
from warehouse.lenders.rules import read_lender
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
        "select month, psi, is_drifted, ks, ks_limit from monitoring.score_drift where {champion} "
        "and psi_limit is not null "
        "order by month desc limit 1",
        champion,
    )
    features = _row(
        settings,
        "select month, count(*) filter (where is_drifted), count(*) from monitoring.feature_drift where {champion} "
        "and missing_share_limit is not null group by month order by month desc limit 1",
        champion,
    )
    if scores:
        month, psi, is_drifted, ks, ks_limit = scores
        reason = scores_have_drifted(month, psi=psi, is_drifted=is_drifted, ks=ks, ks_limit=ks_limit)
        if reason:
            return _alarm(champion, "drift", month, reason)
    if features and (reason := features_have_drifted(features[0], n_drifted=features[1], n_features=features[2])):
        return _alarm(champion, "drift", features[0], reason)
    return None


def decay_alarm(settings: Settings, champion: Deployment) -> Alarm | None:
    """Mature labels show worse ranking than in the test, more defaults than expected, or by the file too low an F1."""
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
    return _alarm(champion, "decay", month, reason) if reason else _low_f1_alarm(settings, champion)


def _low_f1_alarm(settings: Settings, champion: Deployment) -> Alarm | None:
    """The declines of the newest judged month have a lower F1 than the lender's file allows; off without the key."""
    limit = read_lender(champion.source).retrain.f1_below
    found = _row(settings, _F1, champion) if limit is not None else None
    if limit is None or found is None or found[1] is None:
        return None
    month, f1, reachable, default_rate = found
    reason = f1_is_low(month, f1=f1, limit=limit, reachable=reachable, default_rate=default_rate)
    return _alarm(champion, "f1", month, reason) if reason else None


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


# A decline says "this one defaults". With probabilities p in falling order, declining the first k has an expected F1 of
# 2·(p₁ + … + pₖ) / (k + Σp).
_F1 = """
with judged as (
    select max(month) as month from monitoring.model_performance where {champion} and auc_limit is not null
),
mature as (
    select judged.month, decisions.probability as p, decisions.decision = 'decline' as is_declined, labels.is_default
    from (from serving.predictions where {champion}) as decisions
    join judged on date_trunc('month', decisions.decided_at)::date = judged.month
    join training.lbl_default as labels on labels.application_id = decisions.application_id
),
by_cut_off as (
    select *,
        2 * sum(p) over (order by p desc rows unbounded preceding)
            / (row_number() over (order by p desc) + sum(p) over ()) as expected_f1
    from mature
)
select
    any_value(month),
    2 * count(*) filter (where is_declined and is_default)
        / nullif(count(*) filter (where is_declined) + count(*) filter (where is_default), 0),
    max(expected_f1),
    avg(is_default::int)
from by_cut_off
"""


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
