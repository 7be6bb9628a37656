"""When monitoring asks for a new model: rules over what ``ml`` has measured, each a sentence that says why.

A champion is judged in the newest month measured. The reasons end up in the sensor's tick and in the run's tags.
"""

import json
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from warehouse.errors import LakeError
from warehouse.lake import connect
from warehouse.settings import Settings

if TYPE_CHECKING:
    from ml.deployment import Deployment

#: One feature that moves is normal life; when so many have, the applicants are others than those trained on.
DRIFTED_FEATURE_SHARE = 0.5
#: A month counts once so many of its decisions, and so many defaults among them, are mature: below 50 defaults the
#: 95 % interval of an AUC is wider than ±.08.
MIN_MATURE, MIN_DEFAULTS = 300, 50
#: A month's AUC this far below the lower end of the test interval is worse than chance makes it.
AUC_DECAY = 0.02
#: Default rate over mean probability beyond which the level of risk is another one.
MAX_RATE_RATIO = 1.5
#: Mature labels the champion has not seen, as a share of its training set, and at least so many.
NEW_LABEL_SHARE, MIN_NEW_LABELS = 0.05, 500


@dataclass(frozen=True)
class Alarm:
    """Why a source's model should be trained again; ``key`` is equal while the reason is the same."""

    source: str
    key: str
    reason: str


def drift_alarm(settings: Settings, champion: "Deployment") -> Alarm | None:
    """The scores have drifted in the newest month measured, or most features have."""
    scores = _row(
        settings,
        "select month, psi, is_drifted from monitoring.score_drift where {champion} order by month desc limit 1",
        champion,
    )
    features = _row(
        settings,
        "select month, count(*) filter (where is_drifted), count(*) from monitoring.feature_drift where {champion} "
        "group by month order by month desc limit 1",
        champion,
    )
    if scores and scores[2]:
        return _alarm(champion, "drift", scores[0], f"scores drifted in {scores[0]:%Y-%m}, PSI {scores[1]:.3f}")
    if features and features[1] >= DRIFTED_FEATURE_SHARE * features[2]:
        text = f"{features[1]} of {features[2]} features drifted in {features[0]:%Y-%m}"
        return _alarm(champion, "drift", features[0], text)
    return None


def decay_alarm(settings: Settings, champion: "Deployment") -> Alarm | None:
    """Mature labels show that the champion ranks worse than when tested, or that defaults outgrew its probabilities."""
    found = _row(
        settings,
        "select month, auc, default_rate, mean_probability from monitoring.model_performance where {champion} "
        f"and n_mature >= {MIN_MATURE} and n_defaults >= {MIN_DEFAULTS} order by month desc limit 1",
        champion,
    )
    if found is None:
        return None
    month, auc, default_rate, mean_probability = found
    tested = _test_figures(settings, champion)
    if auc < tested["auc_low"] - AUC_DECAY:
        text = f"AUC {auc:.4f} in {month:%Y-%m} against {tested['auc']:.4f} when tested"
        return _alarm(champion, "decay", month, text)
    if default_rate > MAX_RATE_RATIO * mean_probability:
        text = f"default rate {default_rate:.1%} in {month:%Y-%m} against a mean probability of {mean_probability:.1%}"
        return _alarm(champion, "decay", month, text)
    return None


def new_labels_alarm(settings: Settings, champion: "Deployment") -> Alarm | None:
    """So many labels have matured since the champion was trained that another training has something to learn."""
    row = _row(settings, "select count(*) from training.trn_default where source = $1", champion)
    lineage = json.loads((champion.bundle_directory(settings) / "lineage.json").read_text())
    seen = sum(lineage["rows"].values())
    step = max(MIN_NEW_LABELS, round(NEW_LABEL_SHARE * seen))
    new = (int(row[0]) if row else 0) - seen
    if new < step:
        return None
    # the key moves on with each further step, so a training that was refused is tried again with more
    return _alarm(champion, "labels", new // step, f"{new:,} labels have matured since training on {seen:,}")


def _alarm(champion: "Deployment", kind: str, at: date | int, reason: str) -> Alarm:
    when = at.isoformat() if isinstance(at, date) else str(at)
    key = f"{kind}-{champion.model_name}-{champion.model_version}-{when}"
    return Alarm(champion.source, key, f"{champion.model_name} version {champion.model_version}: {reason}")


def _test_figures(settings: Settings, champion: "Deployment") -> dict[str, Any]:
    measured = json.loads((champion.bundle_directory(settings) / "metrics.json").read_text())["measured"]
    found: dict[str, Any] = next(
        row for row in measured if (row["split"], row["month"], row["model"]) == ("test", None, "candidate")
    )
    return found


def _row(settings: Settings, query: str, champion: "Deployment") -> tuple[Any, ...] | None:
    import duckdb

    parameters: list[object] = [champion.source]
    if "{champion}" in query:
        query = query.format(champion="source = $1 and model_name = $2 and model_version = $3")
        parameters += [champion.model_name, champion.model_version]
    try:
        con = connect(settings)
    except LakeError:
        return None
    with closing(con):
        try:
            return con.execute(query, parameters).fetchone()
        except duckdb.CatalogException:
            return None  # not measured yet
