"""Evidently's data-drift report of one month, for reading: HTML and JSON files under the home's reports.

Alerts and gates use ``ml.monitoring.drift``, over every row. This is a sample: Evidently takes 13-17 s for 100,000 rows
of 41 columns, and 5 s of processor time to import.
"""

import html
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.monitoring.samples import (
    CURRENT,
    REFERENCE,
    SAMPLE_SEED,
    MonitoredModel,
    decisions_of,
    open_decisions,
    open_reference,
)
from ml.training.training_set import training_table
from warehouse.errors import MonitoringError
from warehouse.features.contract import FeatureContract
from warehouse.files.replacing import replace_file
from warehouse.lake.connection import connect
from warehouse.lake.training_rows import rows_at
from warehouse.settings import Settings
from warehouse.sql.quoting import identifier

if TYPE_CHECKING:
    import duckdb
    import pandas as pd


@dataclass(frozen=True)
class DriftReport:
    """A report's place and content.

    ``n_reference`` and ``n_decisions`` count all rows, ``n_sample_*`` those drawn. ``n_drifted``: columns by
    Evidently's own tests. ``left_out``: features without any value on one side, which it cannot compare.
    """

    html: Path
    json: Path
    n_reference: int
    n_decisions: int
    n_sample_reference: int
    n_sample_decisions: int
    n_columns: int
    n_drifted: int
    left_out: tuple[str, ...]


def write_drift_report(
    settings: Settings,
    model: MonitoredModel,
    contract: FeatureContract,
    month: date,
    *,
    reference_snapshot: int,
    sample_rows: int = 5_000,
) -> DriftReport:
    """Compare the month's decisions with the training rows; ``sample_rows`` are drawn from each.

    Raises MonitoringError if the month has no decisions, or the snapshot no training rows.
    """
    with connect(settings) as con:
        totals = _totals(con, training_table(contract.version), model, month, reference_snapshot)
        n_reference = open_reference(
            con, contract, source=model.source, snapshot=reference_snapshot, sample_rows=sample_rows
        )
        n_decisions = open_decisions(con, contract, model, months=[month], sample_rows=sample_rows)
        if n_decisions == 0:
            raise MonitoringError(f"{model.name} version {model.version} made no decision in {month:%Y-%m}")
        reference, current = (_frame(con, contract, table) for table in (REFERENCE, CURRENT))

    columns = [name for name in contract.feature_names if reference[name].notna().any() and current[name].notna().any()]
    if not columns:
        raise MonitoringError(f"no feature has a value both in the training rows and in the decisions of {month:%Y-%m}")
    page, figures = _run_evidently(contract, reference[columns], current[columns])
    folder = settings.reports / "drift" / f"{model.name}-{model.version}"
    report = DriftReport(
        html=folder / f"{month:%Y-%m}.html",
        json=folder / f"{month:%Y-%m}.json",
        n_reference=totals[0],
        n_decisions=totals[1],
        n_sample_reference=n_reference,
        n_sample_decisions=n_decisions,
        n_columns=len(columns),
        n_drifted=_n_drifted(figures),
        left_out=tuple(name for name in contract.feature_names if name not in columns),
    )
    about = _about(report, model, month, reference_snapshot)
    replace_file(report.html, _with_heading(page, about))
    replace_file(report.json, json.dumps({"about": about, **figures}, indent=1))
    return report


def _totals(
    con: "duckdb.DuckDBPyConnection", table: str, model: MonitoredModel, month: date, snapshot: int
) -> tuple[int, int]:
    reference = con.execute(
        f"select count(*) from {rows_at(con, table, snapshot)} where source = $1 and split = 'train'",
        [model.source],
    ).fetchall()
    where, parameters = decisions_of(model, [month])
    decisions = con.execute(f"select count(*) from {model.decisions} where {where}", parameters).fetchall()
    return int(reference[0][0]), int(decisions[0][0])


def _frame(con: "duckdb.DuckDBPyConnection", contract: FeatureContract, table: str) -> "pd.DataFrame":
    # as text: Evidently shows true and false, and a missing value does not turn booleans into numbers
    columns = ", ".join(
        identifier(feature.name)
        if feature.kind == "numeric"
        else f"{identifier(feature.name)}::varchar as {identifier(feature.name)}"
        for feature in contract.features
    )
    return con.execute(f"select {columns} from {table}").df()


def _run_evidently(
    contract: FeatureContract, reference: "pd.DataFrame", current: "pd.DataFrame"
) -> tuple[str, dict[str, Any]]:
    # before the import: Evidently reports its use to a server unless this variable exists
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from evidently import DataDefinition, Dataset, Report
    from evidently.core.report import Context
    from evidently.legacy.metrics import DataDriftTable
    from evidently.metrics import DriftedColumnsCount
    from evidently.presets import DataDriftPreset

    columns: dict[str, Any] = {}

    class Drift(DataDriftPreset):  # type: ignore[misc]  # Evidently has no types
        """The preset without its metric of each column, whose plots the page does not show, and the table draws again.

        Of 63 columns they took half of Evidently's time. Their figures are those of the table.
        """

        def generate_metrics(self, context: Context) -> Sequence[DriftedColumnsCount]:
            return [DriftedColumnsCount()]

        def render(self, context: Context, child_widgets: Any = None) -> Any:
            widgets = super().render(context, child_widgets)
            table, _ = context.get_legacy_metric(DataDriftTable(), None, None)  # the table that was just drawn
            for name, column in table.drift_by_columns.items():
                columns[name] = {
                    "test": column.stattest_name,
                    "score": column.drift_score,
                    "limit": column.stattest_threshold,
                    "is_drifted": column.drift_detected,
                }
            return widgets

    shown = [feature for feature in contract.features if feature.name in reference.columns]
    definition = DataDefinition(
        numerical_columns=[feature.name for feature in shown if feature.kind == "numeric"],
        categorical_columns=[feature.name for feature in shown if feature.kind != "numeric"],
    )
    result = Report([Drift()]).run(
        Dataset.from_pandas(current, data_definition=definition),
        Dataset.from_pandas(reference, data_definition=definition),
    )
    # a test that could not be computed is NaN, which only Python's JSON readers accept
    figures: dict[str, Any] = json.loads(result.json(), parse_constant=lambda _: None)
    return result.get_html_str(as_iframe=False), {**figures, "columns": columns}


def _n_drifted(figures: Mapping[str, Any]) -> int:
    for metric in figures["metrics"]:
        if metric["metric_name"].startswith("DriftedColumnsCount"):
            return int(metric["value"]["count"])
    raise MonitoringError("Evidently's report holds no DriftedColumnsCount: this program needs evidently 0.7.23")


def _about(report: DriftReport, model: MonitoredModel, month: date, snapshot: int) -> dict[str, Any]:
    counts = {key: value for key, value in asdict(report).items() if key not in ("html", "json")}
    return {
        "source": model.source,
        "model_name": model.name,
        "model_version": model.version,
        "month": f"{month:%Y-%m}",
        "reference_snapshot": snapshot,
        "sample_seed": SAMPLE_SEED,
        **counts,
    }


def _with_heading(page: str, about: Mapping[str, Any]) -> str:
    text = (
        f"{about['model_name']} version {about['model_version']}, decisions of {about['month']} against its training "
        f"rows. Drawn from a sample: {about['n_sample_decisions']:,} of {about['n_decisions']:,} decisions, "
        f"{about['n_sample_reference']:,} of {about['n_reference']:,} training rows. This page shows distributions. "
        "Which features have drifted is decided in monitoring.feature_drift, from all rows and with limits that allow "
        f"for noise. Evidently's own tests, with other limits, find {about['n_drifted']} of {about['n_columns']}."
    )
    if about["left_out"]:
        text += f" Left out, without a value on one side: {', '.join(about['left_out'])}."
    heading = f'<p style="font-family: sans-serif; margin: 1.5em">{html.escape(text)}</p>'
    head, tag, body = page.partition("<body>")
    return f"{head}{tag}{heading}{body}" if tag else heading + page
