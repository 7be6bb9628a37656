"""The closing table of ``loanlake run``: rows, figures beside the baselines, gates, drift, and links."""

import json
from contextlib import ExitStack, suppress
from typing import Any

import duckdb

from ml.registry.deployment import Deployment
from orchestration.defs.training.candidates import CandidateDirectory, current_candidate
from orchestration.defs.training.model_page import family_text
from orchestration.lib.champions import champion_of
from warehouse.alerts.sending import unsent_lines
from warehouse.alerts.states import read_alerts
from warehouse.alerts.texts import short_lines
from warehouse.errors import LakeError, NotFoundError
from warehouse.lake.connection import connect
from warehouse.settings import Settings
from warehouse.sources.rows_set_aside import losses

_MODELS = {
    "candidate": "the model",
    "champion": "champion before it",
    "logistic": "logistic regression",
    "xgboost": "boosted trees",
    "lender_rate": "the lender's own rate",
    "base_rate": "base rate",
}
_NEXT = """where to look next
  loanlake status                                  this home at a glance
  loanlake up                                      Dagster, API, MLflow and drift reports in the browser
  loanlake sql "from monitoring.score_drift"       any table; without a query a shell
  loanlake replay DECISION_ID                      any score again, to the bit"""


def summary_text(settings: Settings, source: str, *, has_trained: bool = True) -> str:
    """The table for a source, as far as the run came; ``has_trained``: whether the current candidate is the run's."""
    with ExitStack() as opened:
        con = None
        with suppress(LakeError):
            con = opened.enter_context(connect(settings))
        lines = [
            *_row_lines(con, source),
            *(f"set aside     {loss}" for loss in (losses(con, source) if con else ())),
            "",
            *_model_lines(settings, source, has_trained=has_trained),
            "",
            *_drift_lines(con, champion_of(settings, source)),
            *_alert_lines(con, source),
            *(f"notification  {line}" for line in unsent_lines(settings)),
            "",
            _NEXT,
        ]
    return "\n".join(lines)


def _row_lines(con: duckdb.DuckDBPyConnection | None, source: str) -> list[str]:
    counts = {
        "raw": ("sum(n_rows)", "raw.files"),
        "applications": ("count(*)", "core.int_applications"),
        "training rows": ("count(*)", "training.trn_default"),
        "predictions": ("count(*)", "serving.predictions"),
    }
    found = {
        name: _row(con, f"select {what} from {table} where source = ?", source)
        for name, (what, table) in counts.items()
    }
    lines = ["rows          " + ", ".join(f"{name} {int((row and row[0]) or 0):,}" for name, row in found.items())]
    split = _row(con, "select reason from training.lbl_split_windows where source = ?", source)
    return [*lines, f"split         {split[0]}"] if split else lines


def _model_lines(settings: Settings, source: str, *, has_trained: bool) -> list[str]:
    from ml.judging.intervals import IntervalFigures
    from ml.judging.metrics import measured_split

    try:
        directory = current_candidate(settings, source)
        metrics = json.loads((directory.bundle / "metrics.json").read_text())
    except (NotFoundError, FileNotFoundError):
        return ["model         none was trained"]
    lines = [] if has_trained else ["this run stopped before it trained a model; these are figures of an earlier run"]
    lines.append(f"{measured_split(metrics):<24}{'AUC':>8}{'95 %':>18}{'Gini':>8}{'KS':>8}{'Brier':>8}")
    overall = {row["model"]: row for row in metrics["measured"] if row["split"] == "test" and row["month"] is None}
    members = {model: model.replace("_", " ") for model in overall if model.startswith("member_")}
    for model, title in (_MODELS | members).items():
        if model in overall:
            lines.append(_figures_line(title, overall[model]))
    lines += _family_lines(directory, metrics)
    lines.append(f"intervals     {IntervalFigures.from_dict(metrics['intervals']).text}")
    registration, judgement = directory.read_registration(), directory.read_judgement()
    version = (
        f"{registration['model_name']} version {registration['model_version']}" if registration else "not registered"
    )
    lines.append("")
    lines.append(f"model         {version}")
    if judgement:
        refused = [gate for gate in judgement.gates if not gate["passed"]]
        passed = len(judgement.gates) - len(refused)
        lines.append(f"gates         {passed} of {len(judgement.gates)} passed")
        lines += [f"  refused     {gate['gate']}: {gate['message']}" for gate in refused]
        lines += [f"  moved       {name} by the lender: {why}" for name, why in judgement.moved.items()]
    publication = directory.read_publication()
    if publication:
        lines += [f"outcome       {publication['text']}", f"  rule        {publication['rule']}"]
    champion = champion_of(settings, source)
    if champion is not None:
        lines.append(f"served        {champion.model_name} version {champion.model_version}")
    return lines


def _family_lines(directory: CandidateDirectory, metrics: dict[str, Any]) -> list[str]:
    """The model's family, why training chose it, and a note if the logistic regression ranked better on test rows."""
    lines = [f"family        {family_text(json.loads((directory.bundle / 'lineage.json').read_text()))}"]
    gain = metrics["comparisons"].get("logistic", {}).get("auc", {})
    if gain.get("value") is not None and gain["value"] < 0:
        interval = "" if gain["low"] is None else f" (95 % interval {-gain['high']:+.4f} to {-gain['low']:+.4f})"
        lines.append(
            f"              logistic regression ranks better by {-gain['value']:.4f}{interval} on test rows, which "
            "choose nothing: `loanlake run --family logistic` trains it"
        )
    return lines


def _figures_line(title: str, row: dict[str, Any]) -> str:
    interval = "" if row["auc_low"] is None else f"{row['auc_low']:.4f}–{row['auc_high']:.4f}"
    shown = "".join(f"{'–' if row[name] is None else format(row[name], '.4f'):>8}" for name in ("gini", "ks", "brier"))
    auc = "–" if row["auc"] is None else f"{row['auc']:.4f}"
    return f"{title:<24}{auc:>8}{interval:>18}{shown}"


def _drift_lines(con: duckdb.DuckDBPyConnection | None, champion: Deployment | None) -> list[str]:
    if champion is None:
        return ["drift         not measured yet"]
    of_champion = f"where source = ? and model_version = {champion.model_version:d}"
    # of the months with enough decisions to be judged, which have limits
    newest = "month = max(month) over ()"
    scores = _row(
        con,
        "select max(month), bool_or(is_drifted) from "
        f"(from monitoring.score_drift {of_champion} and psi_limit is not null qualify {newest})",
        champion.source,
    )
    features = _row(
        con,
        "select count(*), count(*) filter (where is_drifted), "
        "string_agg(feature, ', ' order by psi / psi_limit desc) filter (where is_drifted) "
        f"from (from monitoring.feature_drift {of_champion} and missing_share_limit is not null qualify {newest})",
        champion.source,
    )
    if not scores or not scores[0] or not features:
        return ["drift         not judged yet: no month of the champion has enough decisions"]
    month, scores_drifted = scores
    n_features, n_drifted, names = features
    return [
        f"drift         {month:%Y-%m}: {n_drifted} of {n_features} features{f' ({names})' if names else ''}; "
        f"the scores {'have' if scores_drifted else 'have not'} drifted"
    ]


def _alert_lines(con: duckdb.DuckDBPyConnection | None, source: str) -> list[str]:
    if con is None:
        return []
    try:
        first, *rest = short_lines(read_alerts(con, [source]))
    except duckdb.CatalogException:
        return []  # the run stopped before the view was built
    return [f"alerts        {first}", *(f"              {line}" for line in rest)]


def _row(con: duckdb.DuckDBPyConnection | None, query: str, source: str) -> tuple[Any, ...] | None:
    try:
        return con.execute(query, [source]).fetchone() if con else None
    except duckdb.CatalogException:
        return None  # the run stopped before this table was first built
