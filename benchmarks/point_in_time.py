"""Features as of 100,000 decisions from 2.4 million statements: the warehouse's SQL, Feast, pandas and a bare join.

The work that all four can do is the same: for each application the latest value, known strictly before the decision, of
10 columns of the borrower's statements, from the same two Parquet files into a data frame. The warehouse's SQL is in
the form of its history features, the macros ``known_before``, ``months_later`` and ``latest`` as dbt renders them; the
peers are Feast's ``get_historical_features`` (file offline store, in an environment of its own that uv makes from
PyPI), ``pandas.merge_asof``, and DuckDB's ASOF join. All answers are compared before anything is reported.

A last line is about work that no ASOF join does: the macro ``borrower_history`` itself, 20 columns of counts, sums,
worst and latest values over windows, beside the bare join of 10 latest values. What has to hold is that neither takes
more than 1.3 times as long as the bare join.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import pandas as pd

from benchmarks.comparison import Comparison
from warehouse.settings import DBT_PROJECT_DIR

N_BORROWERS, N_MONTHS, N_APPLICATIONS = 100_000, 24, 100_000
LATEST_OF_HISTORY = ("balance", "credit_limit", "paid_amount")
FEATURES = (*LATEST_OF_HISTORY, *(f"figure_{i}" for i in range(7)))
FEAST = "feast==0.67.0"
WHAT = f"latest values of {len(FEATURES)} columns as of {N_APPLICATIONS:,} decisions"
_ROUNDS = 5
_BETWEEN = "-- next"
_SQL = """
with points as (
    select application_id as point_id, borrower_id, decided_at as as_of, decided_at as known_until
    from {{ ref('int_applications') }}
),
latest as (
    select points.point_id, %(latest)s
    from points
    inner join {{ ref('int_statements') }} as statements
        on statements.borrower_id = points.borrower_id
        and {{ known_version('statements', 'points') }}
        and statements.statement_on >= {{ months_later('points.as_of', -6) }}
    group by points.point_id
)
select points.point_id as application_id, %(columns)s
from points left join latest on latest.point_id = points.point_id
-- next
with points as (
    select application_id as point_id, borrower_id, decided_at as as_of, decided_at as known_until
    from {{ ref('int_applications') }}
),
{{ borrower_history('points') }}
select * from history
"""


def run() -> list[Comparison]:
    """Median of five rounds of DuckDB's; Feast and pandas once, since they take many seconds."""
    with tempfile.TemporaryDirectory() as name, duckdb.connect() as con:
        folder = Path(name)
        _write_files(con, folder)
        latest, history = _warehouse_sql(folder)
        bare = _bare_asof_join(folder)
        ours, expected = _timed(lambda: con.execute(latest).df(), rounds=_ROUNDS)
        asof, answer = _timed(lambda: con.execute(bare).df(), rounds=_ROUNDS)
        _same(expected, answer, "the bare ASOF join")
        whole, answer = _timed(lambda: con.execute(history).df(), rounds=_ROUNDS)
        names = {"point_id": "application_id", **{f"latest_{name}": name for name in LATEST_OF_HISTORY}}
        _same(expected, answer.rename(columns=names), "borrower_history", columns=LATEST_OF_HISTORY)
        pandas, answer = _timed(lambda: _merge_asof(folder), rounds=1)
        _same(expected, answer, "pandas.merge_asof")
        feast, label = _feast(folder, expected)

    def against(peer: str, seconds: float) -> Comparison:
        return Comparison(WHAT, peer, "s", ours, seconds, higher_is_better=False)

    return [
        against(label, feast),
        against("pandas.merge_asof", pandas),
        against("bare DuckDB ASOF join", asof),
        Comparison("the same, 20 columns of borrower_history", "bare ASOF join of 10", "s", whole, asof, False),
    ]


def _write_files(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """The two files, and a catalog in which dbt's SQL finds them under their names in the lake."""
    figures = ", ".join(f"round(1000 * random(), 2) as {name}" for name in FEATURES)
    con.execute("select setseed(0.5)")
    con.execute(
        f"""copy (
            select 'b' || (i // {N_MONTHS}) as borrower_id,
                date '2022-01-31' + to_months((i % {N_MONTHS})::integer) as statement_on,
                timestamp '2022-01-31 00:00:00.5' + to_months((i % {N_MONTHS})::integer) + interval 5 day as known_at,
                floor(5 * pow(random(), 6))::integer as months_past_due, {figures}
            from range({N_BORROWERS * N_MONTHS}) as rows(i)
        ) to '{folder / "statements.parquet"}'"""
    )
    # whole seconds: no decision is at the very moment of a statement, which Feast would let it see
    con.execute(
        f"""copy (
            select 'a' || i as application_id, 'b' || ((i * 7919) % {N_BORROWERS}) as borrower_id,
                timestamp '2022-09-01' + to_seconds((86400 * 450 * random())::bigint) as decided_at
            from range({N_APPLICATIONS}) as rows(i)
        ) to '{folder / "applications.parquet"}'"""
    )
    con.execute("attach ':memory:' as lake")
    con.execute("create schema lake.core")
    con.execute(
        "create view lake.core.int_statements as select *, cast(null as timestamp) as superseded_at "
        f"from '{folder / 'statements.parquet'}'"
    )
    con.execute(
        "create view lake.core.int_applications as "
        f"select *, decided_at as known_at from '{folder / 'applications.parquet'}'"
    )
    con.execute(
        "create view lake.core.int_application_versions as "
        "select *, cast(null as timestamp) as superseded_at from lake.core.int_applications"
    )
    con.execute(
        "create table lake.core.int_outcome_versions (application_id varchar, is_default boolean, "
        "outcome_at timestamp, known_at timestamp, superseded_at timestamp, loaded_at timestamp)"
    )


def _warehouse_sql(folder: Path) -> tuple[str, str]:
    """The two selects as dbt renders them."""
    template = _SQL % {
        "latest": ", ".join(
            f"{{{{ latest('statements.{name}', 'statements.statement_on') }}}} as {name}" for name in FEATURES
        ),
        "columns": ", ".join(f"latest.{name}" for name in FEATURES),
    }
    home = folder / "home"
    environment = {**os.environ, "LOANLAKE_HOME": str(home), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    places = {"DBT_TARGET_PATH": str(home / "target"), "DBT_LOG_PATH": str(home / "logs")}
    done = subprocess.run(
        [Path(sys.executable).with_name("dbt"), "--quiet", "compile", "--target", "prod", "--inline", template],
        cwd=DBT_PROJECT_DIR,
        env=environment | places,
        capture_output=True,
        text=True,
        check=True,
    )
    latest, _, history = done.stdout.partition(_BETWEEN)
    return latest, history


def _bare_asof_join(folder: Path) -> str:
    columns = ", ".join(f"statements.{name}" for name in FEATURES)
    return f"""
        select applications.application_id, {columns}
        from '{folder / "applications.parquet"}' as applications
        asof left join '{folder / "statements.parquet"}' as statements
            on statements.borrower_id = applications.borrower_id and statements.known_at < applications.decided_at"""


def _merge_asof(folder: Path) -> pd.DataFrame:
    statements = pd.read_parquet(folder / "statements.parquet", columns=["borrower_id", "known_at", *FEATURES])
    applications = pd.read_parquet(folder / "applications.parquet")
    return pd.merge_asof(
        applications.sort_values("decided_at"),
        statements.sort_values("known_at"),
        left_on="decided_at",
        right_on="known_at",
        by="borrower_id",
        allow_exact_matches=False,
    )


def _feast(folder: Path, expected: pd.DataFrame) -> tuple[float, str]:
    """Seconds and label; if the environment cannot be created, the label says so and there are no seconds."""
    python = folder / "feast" / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    made = subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "feast"], check=False)
    if made.returncode == 0:
        made = subprocess.run([uv, "pip", "install", "--quiet", "--python", python, FEAST, "pandas<3"], check=False)
    if made.returncode != 0:
        return float("nan"), f"Feast: {FEAST} could not be installed"
    script = Path(__file__).with_name("feast_point_in_time.py")
    done = subprocess.run(
        [python, script, folder, *FEATURES],
        env={**os.environ, "FEAST_USAGE": "False"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    _same(expected, pd.read_parquet(folder / "feast.parquet"), "Feast")
    return float(found["seconds"]), f"Feast {found['version']}, file offline store"


def _same(expected: pd.DataFrame, found: pd.DataFrame, whose: str, columns: Sequence[str] = FEATURES) -> None:
    def ordered(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.sort_values("application_id", ignore_index=True)[["application_id", *columns]]

    if not ordered(expected).equals(ordered(found)):
        raise ValueError(f"{whose} gives other values than the warehouse's SQL: there is nothing to compare")


def _timed(call: Callable[[], pd.DataFrame], *, rounds: int) -> tuple[float, pd.DataFrame]:
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        answer = call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), answer
