"""``loanlake status``: what is in this home, read from the lake, the deployment file, the outbox and Dagster's storage.

Reads only; a part that does not exist yet says so in a word. MLflow is not imported (9 s): versions are those that were
published, from the deployment history.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from warehouse.errors import LakeError, NoLakeError
from warehouse.settings import Settings

if TYPE_CHECKING:
    import duckdb

    from ml.deployment import Deployment

Row = tuple[Any, ...]


def status_text(settings: Settings, *, now: datetime | None = None) -> str:
    """The whole page, for printing."""
    now = now or datetime.now(UTC)
    sections: tuple[tuple[str, Callable[[], list[str]]], ...] = (
        ("home", lambda: [str(settings.home)]),
        ("data", lambda: _lake_lines(settings, _data_lines)),
        ("lost files", lambda: _lake_lines(settings, lambda con: _lost_lines(con, settings))),
        ("served", lambda: _served_lines(settings, now)),
        ("models", lambda: _model_lines(settings)),
        ("predictions", lambda: _lake_lines(settings, _prediction_lines) + _waiting_lines(settings)),
        ("alerts", lambda: _lake_lines(settings, _alert_lines)),
        ("runs", lambda: _run_lines(settings, now)),
    )
    lines = []
    for title, read in sections:
        first, *rest = read() or ["none"]
        lines.append(f"{title:<13}{first}")
        lines += [f"{'':<13}{line}" for line in rest]
    return "\n".join(lines)


def _lake_lines(settings: Settings, read: Callable[["duckdb.DuckDBPyConnection"], list[str]]) -> list[str]:
    import duckdb

    from warehouse.lake import connect

    try:
        con = connect(settings)
    except NoLakeError:
        return ["no lake yet: start with `loanlake run`"]
    except LakeError as error:
        return [" ".join(str(error).split())]  # the driver's words are of several lines
    try:
        return read(con)
    except duckdb.CatalogException:
        return ["nothing yet"]  # the lake is younger than the table
    finally:
        con.close()


def _data_lines(con: "duckdb.DuckDBPyConnection") -> list[str]:
    loaded = con.execute(
        "select source, count(*), sum(n_rows), max(loaded_at) from raw.files group by source order by source"
    ).fetchall()
    rows: list[Sequence[str]] = [
        ("source", "files", "raw rows", "loaded", "applications", "decided until", "known until")
    ]
    clocks = _clocks(con)
    for source, n_files, n_rows, loaded_at in loaded:
        n_applications, decided_until, known_until = clocks.get(source, (0, None, None))
        rows.append(
            (
                source,
                f"{n_files:,}",
                f"{int(n_rows):,}",
                f"{loaded_at:%Y-%m-%d %H:%M}",
                f"{n_applications:,}",
                _day(decided_until),
                _day(known_until),
            )
        )
    return _table(rows) if loaded else ["nothing loaded: start with `loanlake run` or `loanlake ingest`"]


def _lost_lines(con: "duckdb.DuckDBPyConnection", settings: Settings) -> list[str]:
    """By table, and what brings their rows back."""
    from warehouse.data_files import lost_files

    tables = Counter(lost.table for lost in lost_files(con, settings))
    remedies = {
        "raw": "`loanlake reload` loads them again from the landing files",
        "serving": "restore them from a backup",
        "monitoring": "restore them from a backup",
    }
    build = "`dbt build --target prod --full-refresh` in warehouse/ builds them again"
    return [
        f"{table}: {n:,} data files are missing or cut short; {remedies.get(table.partition('.')[0], build)}"
        for table, n in sorted(tables.items())
    ]


def _clocks(con: "duckdb.DuckDBPyConnection") -> dict[str, Row]:
    import duckdb

    try:
        found = con.execute(
            "select source, count(*), max(decided_at), clock_at "
            "from core.int_applications left join core.int_clocks using (source) group by all"
        ).fetchall()
    except duckdb.CatalogException:
        return {}
    return {source: tuple(figures) for source, *figures in found}


def _served_lines(settings: Settings, now: datetime) -> list[str]:
    if not settings.deployment.exists():
        return ["no model: the API answers 503 until one passes its gates"]
    from ml.deployment import read_deployment

    served = read_deployment(settings)
    if served is None:
        return []
    lines = [f"{served.model_name} version {served.model_version}, {_since(served, now)}"]
    if served.challenger is not None:
        lines.append(f"challenged by {served.challenger.name}, {_since(served.challenger.deployment, now)}")
    return lines


def _since(deployment: "Deployment", now: datetime) -> str:
    published = datetime.fromisoformat(deployment.published_at)
    return (
        f"features {deployment.feature_version}, since {published:%Y-%m-%d %H:%M} UTC "
        f"({_ago((now - published).total_seconds())}), by {deployment.published_by}"
    )


def _model_lines(settings: Settings) -> list[str]:
    rows: list[Sequence[str]] = [("model", "version", "trained", "test AUC", "gini", "ks", "brier")]
    for lineage_path in sorted(
        settings.bundles.glob("*/*/lineage.json"), key=lambda path: (path.parts[-3], int(path.parts[-2]))
    ):
        lineage = json.loads(lineage_path.read_text())
        measured = json.loads((lineage_path.parent / "metrics.json").read_text())["measured"]
        figures = next(
            row for row in measured if (row["split"], row["month"], row["model"]) == ("test", None, "candidate")
        )
        shown = [f"{figures[name]:.4f}" for name in ("auc", "gini", "ks", "brier")]
        rows.append((lineage_path.parts[-3], lineage_path.parts[-2], lineage["trained_at"][:16], *shown))
    return _table(rows) if len(rows) > 1 else ["none published"]


def _prediction_lines(con: "duckdb.DuckDBPyConnection") -> list[str]:
    found = con.execute(
        "select source, route, count(*), max(decided_at) from serving.predictions group by all order by all"
    ).fetchall()
    lines = [f"{source} {route}: {n:,}, the latest decided {_day(latest)}" for source, route, n, latest in found]
    return lines + _shadow_lines(con)


def _waiting_lines(settings: Settings) -> list[str]:
    from warehouse.batches import BatchStates

    states = BatchStates(settings)
    queued, n_running = states.queued(), states.count("running")
    batches = [f"{len(queued):,} batches wait for a run, {n_running:,} are being scored"] if queued or n_running else []
    postponed = [batch for batch in queued if batch.n_postponed]
    if postponed:
        batches.append(
            f"{len(postponed):,} of them were put back into the queue, the first since: {postponed[0].reason}"
        )
    return _outbox_lines(settings) + batches


def _shadow_lines(con: "duckdb.DuckDBPyConnection") -> list[str]:
    import duckdb

    try:
        found = con.execute(
            "select source, model_version, count(*) from serving.shadow_predictions group by all order by all"
        ).fetchall()
    except duckdb.CatalogException:  # a lake from before there were shadows
        return []
    return [f"{source} in shadow: {n:,} by version {version}" for source, version, n in found]


def _outbox_lines(settings: Settings) -> list[str]:
    if not settings.outbox.exists():
        return []
    from warehouse.decision_log import count_pending

    try:
        pending = count_pending(settings)
    except sqlite3.Error as error:
        return [f"the decision log cannot be read: {error}"]
    return [f"{pending:,} decisions and outcomes wait to be taken into the lake"]


def _alert_lines(con: "duckdb.DuckDBPyConnection") -> list[str]:
    found = con.execute(
        "select coalesce(source, 'all'), kind, count(*), count(*) filter (where severity = 'high'), max(raised_for), "
        "string_agg(distinct subject, ', ' order by subject) filter (where raised_for = latest) "
        "from (select *, max(raised_for) over (partition by source, kind) as latest from monitoring.alerts) "
        "group by source, kind order by 1, 2"
    ).fetchall()
    return [
        f"{source} {kind}: {n:,} ({n_high:,} high); in {latest:%Y-%m}: {subjects}"
        for source, kind, n, n_high, latest, subjects in found
    ]


def _run_lines(settings: Settings, now: datetime) -> list[str]:
    """The newest runs from Dagster's own storage; read with SQLite, since importing Dagster takes 2 s."""
    runs = settings.dagster_home / "history" / "runs.db"
    if not runs.exists():
        return ["none"]
    with sqlite3.connect(f"{runs.as_uri()}?mode=ro", uri=True) as con:
        found = con.execute(
            "select run_id, pipeline_name, status, start_time, end_time from runs order by id desc limit 5"
        ).fetchall()
    lines = []
    for run_id, job, state, start, end in found:
        began = _ago(now.timestamp() - start) if start else "not started"
        took = f", {end - start:.0f} s" if start and end else ""
        lines.append(f"{run_id[:8]}  {job:<18}{state.lower():<10}{began}{took}")
    return lines


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "-"


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return "just now"
