"""dbt as an analyst runs it, on a small lender: what builds, what is left out, and what a planted leak does.

One build for the module: it takes half a minute. Tests that plant a fault mend it again.
"""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlglot
from sqlglot import exp

from ml.monitoring.feature_skew import compare_history
from ml.monitoring.samples import MonitoredModel
from tests import dbt_runs
from tests.failure.test_ingestion_kills import a_decision
from tests.logged_contract import publish_contract
from warehouse import decision_log
from warehouse.features.contract import FeatureContract
from warehouse.lake.connection import connect, current_snapshot, writer
from warehouse.lake.dev_lakes import of_dev_lake
from warehouse.raw import SOURCES
from warehouse.settings import Settings
from warehouse.sources import ingest_files, ingest_simulated

pytestmark = pytest.mark.slow

Dbt = Callable[..., dbt_runs.Done]

#: The manifest of the build, in the home.
BUILT = "built-manifest.json"

# header, then one loan a line: repaid, charged off, still running, and two whose amount is no number
LOANS = [
    {"id": "1", "loan_amnt": "1000", "loan_status": "Fully Paid", "last_pymnt_d": "Mar-2012"},
    {"id": "2", "loan_amnt": "2000", "loan_status": "Charged Off", "last_pymnt_d": "Jun-2010"},
    {"id": "3", "loan_amnt": "3000", "loan_status": "Current", "last_pymnt_d": "Mar-2013"},
    {"id": "4", "loan_amnt": "many", "loan_status": "Fully Paid", "last_pymnt_d": "Mar-2012"},
    {"id": "5", "loan_amnt": "m" * 100_000, "loan_status": "Fully Paid", "last_pymnt_d": "Mar-2012"},
]

# what known_at of a statement says, and the UTC that it means; the first is an hour that New York's clocks left out
ZONES = {
    "2021-03-14 02:30:00": "2021-03-14 02:30:00",
    "2021-03-01T20:00:00-05:00": "2021-03-02 01:00:00",
    "2021-03-01 10:00:00 America/New_York": None,
    "2021-03-01 10:00:00": "2021-03-01 10:00:00",
}

# statements with a mistyped year, each in the column named first
MISDATED = [
    ("known_at", {"borrower_id": "b-1", "statement_on": "2025-01-31", "known_at": "2052-02-01 00:00:00"}),
    ("known_at", {"borrower_id": "b-2", "statement_on": "2025-01-31", "known_at": "20225-02-01 00:00:00"}),
    ("known_at", {"borrower_id": "b-3", "statement_on": "2025-01-31", "known_at": "infinity"}),
    ("statement_on", {"borrower_id": "b-4", "statement_on": "0025-01-31", "known_at": "2025-02-01 00:00:00"}),
    ("statement_on", {"borrower_id": "b-5", "statement_on": "2000000-01-31", "known_at": "2025-02-01 00:00:00"}),
]

# by kind of file, a row whose every number is beyond what the core models take
UNLIKELY = {
    "applications": {
        "requested_amount": "1000000001",
        "annual_income": "1e12",
        "employment_years": "81",
        "debt_to_income": "1001",
        "n_open_accounts": "10001",
        "n_total_accounts": "10001",
        "n_inquiries_6m": "10001",
        "n_delinquencies_2y": "10001",
        "n_public_records": "10001",
        "revolving_balance": "1e12",
        "revolving_utilisation": "1001",
    },
    "statements": {"credit_limit": "1e12", "balance": "2e16", "paid_amount": "1e12", "months_past_due": "121"},
    "outcomes": {"loss_amount": "1e12"},
}
TIME_RULE = (
    "must be a time, YYYY-MM-DD HH:MM:SS, with an offset such as +01:00 or in UTC; named time zones are not read"
)
KEYS = {
    "application_id": "a-1",
    "borrower_id": "b-1",
    "decided_at": "2025-01-31",
    "term_months": "12",
    "statement_on": "2025-01-31",
    "known_at": "2025-01-31",
    "is_default": "false",
    "outcome_at": "2025-01-31",
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home with a small simulated lender and four Lending Club loans."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LOANLAKE_CATALOG", "LOANLAKE_LAKE_DATA", "LOANLAKE_DEFAULT_LENDER"):
            patch.delenv(name, raising=False)
        patch.setenv("LOANLAKE_HOME", str(home))
        yield Settings.from_environment()


@pytest.fixture(scope="module")
def dbt(settings: Settings) -> Dbt:
    """Run dbt in ``warehouse/`` on the module's home; fails the test unless the exit code is as expected.

    On a machine that stands in New York, whose summer time must change nothing.
    """

    def run(*arguments: str, code: int = 0) -> dbt_runs.Done:
        target = () if "--target" in arguments else ("--target", "prod")
        done = dbt_runs.dbt(
            *(*arguments, *target),
            target=settings.home / "target",
            logs=settings.home / "logs",
            variables={"TZ": "America/New_York"},
        )
        assert done.returncode == code, done.stdout[-5000:]
        return done

    return run


@pytest.fixture(scope="module")
def built(
    settings: Settings, dbt: Dbt, start_from_parse: Callable[[Path], None], tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """The home after ``dbt build``: every model, data test and unit test. The card accounts were never loaded."""
    files = tmp_path_factory.mktemp("files")
    common = {"term": " 36 months", "issue_d": "Mar-2009", "purpose": "car", "sub_grade": "B4", "int_rate": "12.5"}
    loans = _written(files, "lending_club", "loans", [{**common, **loan} for loan in LOANS])
    ingest_files("lending_club", [loans], settings)
    ingest_simulated(settings, applications=1_500, months=30, seed=11)
    statements = _written(files, "simulated", "statements", [row for _, row in MISDATED])
    zones = _written(
        files,
        "simulated",
        "statements",
        [
            {"borrower_id": f" zone-{number}.0\t", "statement_on": "2021-02-28", "known_at": known_at}
            for number, known_at in enumerate(ZONES)
        ],
        name="zones.csv",
    )
    ingest_files("simulated", [statements, zones], settings, "statements")
    for entity, values in UNLIKELY.items():
        unlikely = _written(files, "simulated", entity, [{**KEYS, **values}], name="unlikely.csv")
        ingest_files("simulated", [unlikely], settings, entity)
    start_from_parse(settings.home / "target")
    done = dbt("build")
    assert re.search(r"\d+ unit tests", done.stdout)
    # a later command's has the SQL of its own models alone
    shutil.copy2(settings.home / "target" / "manifest.json", settings.home / BUILT)
    return settings


def _written(directory: Path, source: str, entity: str, rows: list[dict[str, str]], *, name: str = "") -> Path:
    path = directory / (name or f"{entity}.csv")
    columns = SOURCES[source].entities[entity]
    lines = [",".join(row.get(column, "") for column in columns) for row in rows]
    path.write_text("\n".join([",".join(columns), *lines]) + "\n")
    return path


def _rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with connect(settings) as con:
        return con.execute(query).fetchall()


@contextmanager
def _planted(settings: Settings, table: str, change: str) -> Iterator[None]:
    """The table with a fault in it, for as long as the block runs."""
    with writer("test", settings) as con:
        snapshot = current_snapshot(con)
        con.execute(f"update {table} set {change}")
    try:
        yield
    finally:
        with writer("test", settings) as con:
            # beside the lake: after the delete, the same transaction finds no row of the snapshot either
            con.execute(f"create or replace temp table before as from {table} at (version => {snapshot})")
            con.execute("begin")
            con.execute(f"delete from {table}")
            con.execute(f"insert into {table} from before")
            con.execute("commit")


def test_no_statement_compares_each_row_with_each(built: Settings) -> None:
    """A left join on a condition that mixes both sides in one expression grows with the square of the rows."""
    manifest = json.loads((built.home / BUILT).read_text())
    texts = {
        node["name"]: node["compiled_code"]
        for node in manifest["nodes"].values()
        if node["resource_type"] in ("model", "test") and node.get("compiled_code")
    }

    with connect(built) as con:
        plans = {name: con.execute(f"explain {text}").fetchall()[0][1] for name, text in texts.items()}

    assert len(plans) > 150
    assert [name for name, plan in plans.items() if "BLOCKWISE_NL_JOIN" in plan] == []


def test_a_value_that_cannot_be_typed_is_quarantined_and_its_neighbours_go_on(built: Settings) -> None:
    quarantined = _rows(
        built,
        "select file, line, column_name, value, reason from raw.quarantine where source = 'lending_club' order by line",
    )
    applications = _rows(built, "select application_id from core.int_applications where source = 'lending_club'")

    assert quarantined == [
        ("loans.csv", 5, "loan_amnt", "many", "must be a number"),
        # cut as a line that is no row is: one value of 10 MB would stand there for every such row
        ("loans.csv", 6, "loan_amnt", "m" * 2_000, "must be a number"),
    ]
    assert sorted(applications) == [("lc-1",), ("lc-2",), ("lc-3",)]


def test_a_file_that_lost_too_many_rows_is_an_alert_with_the_reason(built: Settings) -> None:
    (file,) = _rows(
        built, "select n_rows, n_set_aside, reasons from staging.rows_set_aside where source = 'lending_club'"
    )
    alerts = _rows(
        built,
        "select subject, value, threshold from monitoring.alerts where source = 'lending_club' and kind like 'rows%'",
    )

    assert file == (5, 2, "loan_amnt must be a number (2)")
    assert alerts == [("loans/loans.csv", 0.4, 0.2)]


def test_a_mistyped_year_is_quarantined_and_moves_no_clock(built: Settings) -> None:
    quarantined = _rows(
        built,
        "select column_name, value, reason from raw.quarantine where file = 'statements.csv' order by line",
    )
    clock = _rows(built, "select clock_at < timestamp '2026-01-01' from core.int_clocks where source = 'simulated'")

    late = "must be between 1900-01-01 and the day after its file was loaded"
    rules = [late, TIME_RULE, TIME_RULE, late, "must be a date, YYYY-MM-DD"]
    assert quarantined == [(column, row[column], rule) for (column, row), rule in zip(MISDATED, rules, strict=True)]
    assert clock == [(True,)]


def test_times_are_read_by_their_own_text_wherever_the_machine_stands(built: Settings) -> None:
    known = _rows(
        built,
        "select known_at::varchar from core.int_statements where borrower_id like 'zone-%' order by borrower_id",
    )
    staged = _rows(
        built,
        "select known_at::varchar from staging.stg_simulated__statements where borrower_id like 'zone-%' "
        "order by borrower_id",
    )
    quarantined = _rows(built, "select line, value, reason from raw.quarantine where file = 'zones.csv'")

    assert known == staged == [(meant,) for meant in ZONES.values() if meant]
    assert quarantined == [(4, "2021-03-01 10:00:00 America/New_York", TIME_RULE)]


def test_a_number_beyond_what_core_models_take_is_quarantined_before_their_tests_fail(built: Settings) -> None:
    quarantined = _rows(
        built, "select entity, column_name, value, left(reason, 15) from raw.quarantine where file = 'unlikely.csv'"
    )

    planted = [
        (entity, column, value, "must be at most")
        for entity, values in UNLIKELY.items()
        for column, value in values.items()
    ]
    assert sorted(quarantined) == sorted(planted)


def test_a_loan_still_running_is_an_application_without_an_outcome(built: Settings) -> None:
    outcomes = _rows(
        built, "select application_id, is_default from core.int_outcomes where source = 'lending_club' order by all"
    )

    assert outcomes == [("lc-1", False), ("lc-2", True)]


def test_a_training_row_is_the_feature_row_with_its_label(built: Settings) -> None:
    differing = _rows(
        built,
        """
        select count(*)
        from (select * exclude (split, is_default, label_known_at) from training.trn_default) as training
        anti join features.ftr_application as features on training = features
        """,
    )

    assert differing == [(0,)]
    assert _rows(built, "select count(*) > 500 from training.trn_default where source = 'simulated'") == [(True,)]


def test_a_planted_leak_fails_the_tests(built: Settings, dbt: Dbt) -> None:
    """A row known at the decision is seen by its time; one that hides its time, or a cohort's, by counting again."""
    late = "latest_known_at = decided_at, n_statements_6m = n_statements_6m + 1 where n_statements_6m > 0"

    with (
        _planted(built, "features.ftr_application_history", late),
        _planted(built, "features.ftr_cohort_rates", "n_outcomes = n_outcomes + 1"),
    ):
        done = dbt("test", "--select", "ftr_application_history", "ftr_cohort_rates", code=1)

    failed = set(re.findall(r"of \d+ FAIL \d+ (\w+)", done.stdout))
    assert failed == {
        "known_before_the_decision_ftr_application_history_",
        "history_is_recounted_from_known_rows",
        "cohorts_are_recounted_from_known_outcomes",
    }


@pytest.mark.parametrize(
    "fault",
    [
        "latest_paid_amount = latest_paid_amount + 1 where latest_paid_amount > 0",
        "late_statement_on_6m = late_statement_on_6m - 1",
        "max_balance_6m = max_balance_6m + 1 where max_balance_6m > 0",
        "total_months_past_due_6m = total_months_past_due_6m + 1",
        "n_prior_applications = coalesce(n_prior_applications, 0) + 1",
        "prior_application_at = decided_at where n_prior_applications > 0",
    ],
)
def test_a_miscounted_history_fails_when_counted_again(built: Settings, fault: str) -> None:
    """The query that dbt ran, without dbt: that its rows fail a build, the test before has shown."""
    compiled = built.home / "target" / "compiled" / "loanlake"
    (recount,) = compiled.rglob("history_is_recounted_from_known_rows.sql")
    query = recount.read_text()

    with _planted(built, "features.ftr_application_history", fault):
        found = _rows(built, query)

    assert found
    assert _rows(built, query) == []


def test_a_borrower_of_two_lenders_fails_a_build(built: Settings) -> None:
    """History follows the borrower's id alone; each lender's prefix keeps ids apart."""
    compiled = built.home / "target" / "compiled" / "loanlake"
    (apart,) = compiled.rglob("borrowers_of_lenders_are_apart.sql")
    query = apart.read_text()
    one = "source = 'other' where borrower_id = (select min(borrower_id) from core.int_demographics)"

    with _planted(built, "core.int_demographics", one):
        ((_, lender, other),) = _rows(built, query)

    assert {lender, other} - {"other"}
    assert _rows(built, query) == []


def test_documentation_is_generated_while_the_lake_is_read(built: Settings, dbt: Dbt) -> None:
    with connect(built) as reader:
        reader.execute("begin")
        count = reader.execute("select count(*) from training.trn_default").fetchone()

        dbt("docs", "generate", "--no-compile")

        assert reader.execute("select count(*) from training.trn_default").fetchone() == count
    catalog = json.loads((built.home / "target" / "catalog.json").read_text())
    assert "model.loanlake.trn_default.v2" in catalog["nodes"]


def test_every_table_and_column_has_its_description_as_a_comment(built: Settings) -> None:
    """A view's columns, which DuckLake cannot comment on, in the comment of the view."""
    relations = _rows(
        built,
        "select schema_name || '.' || table_name, comment from duckdb_tables() where database_name = 'lake' union all "
        "select schema_name || '.' || view_name, comment from duckdb_views() where database_name = 'lake'",
    )
    columns = _rows(
        built,
        """
        select columns.schema_name || '.' || columns.table_name || '.' || columns.column_name as name,
            coalesce(columns.comment, nullif(regexp_extract(
                views.comment, '\\n' || columns.column_name || ': (.+)', 1), '')) as comment
        from duckdb_columns() as columns
        left join duckdb_views() as views
            on views.database_name = 'lake' and views.schema_name = columns.schema_name
            and views.view_name = columns.table_name
        where columns.database_name = 'lake'
        """,
    )

    assert len(relations) > 60
    assert len(columns) > 1_300
    assert [name for name, comment in relations + columns if not comment or comment.startswith("{")] == []


def test_an_analyst_builds_a_lake_of_their_own_and_no_decision_waits(
    built: Settings, dbt: Dbt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build held production's lease for its whole length: batches and ingestion failed meanwhile."""
    monkeypatch.setenv("LOANLAKE_DEV_NAME", "ada")
    monkeypatch.setenv("LOANLAKE_LEASE_SECONDS", "5")
    dev = ("--target", "dev", "--target-path", str(built.home / "dev_target"))
    with connect(built) as con:
        before = con.execute("select count(*) from core.int_applications").fetchone()

    with ThreadPoolExecutor() as threads:
        building = threads.submit(dbt, "run", *dev, "--select", "+ftr_application_inputs")
        waits = _waits_of_decisions(Settings.from_environment(), until=building.done)
        building.result()
    again = dbt("run", *dev, "--select", "int_applications", "int_statements")

    assert len(waits) > 5
    with connect(built) as con:
        assert con.execute("select count(*) from core.int_applications").fetchone() == before
    with connect(of_dev_lake(built, "ada")) as con:
        assert con.execute("select count(*) from core.int_applications").fetchone() == before
        assert con.execute("select count(*) > 0 from features.ftr_application_inputs").fetchone() == (True,)
    assert again.stdout.count("[unchanged") == 2


def _waits_of_decisions(settings: Settings, *, until: Callable[[], bool]) -> list[float]:
    """How long each decision took into the lake; raises LakeBusyError where one had to wait longer than the lease."""
    waits = []
    decision = msgspec.structs.replace(a_decision(0), model_version=99, feature_version="v99")
    publish_contract(settings, decision.model_name, decision.model_version, {"loan_to_income": "double"})
    while not until():
        started = time.monotonic()
        with closing(decision_log.create(settings)) as outbox:
            decision_log.append(outbox, [msgspec.structs.replace(decision, decision_id=f"waits-{len(waits)}")])
        decision_log.ingest_into_lake(settings)
        waits.append(time.monotonic() - started)
        time.sleep(0.1)
    return waits


def test_history_is_one_text_offline_online_and_in_retrospect(built: Settings) -> None:
    """The online store must hold what training saw, and skew compare with it: all are the same macro."""
    compiled = built.home / "target" / "compiled" / "loanlake" / "models"

    offline, online, afterwards = (
        (compiled / f"{name}.sql")
        .read_text()
        .partition("statement_history as (")[2]
        .partition("as latest_known_at\n    from points")[0]
        for name in ("features/ftr_application_history", "features/ftr_online_borrowers", "monitoring/decision_history")
    )

    assert offline == online == afterwards != ""


def test_a_statement_that_came_late_shows_as_stale_history(built: Settings) -> None:
    """A decision made with what the online store has is equal to the lake's, until the lake learns more."""
    contract = FeatureContract.from_manifest(built.home / BUILT)
    model = MonitoredModel("simulated", "default_risk_simulated", 1)
    history = ", ".join(f"'{column.name}', borrowers.{column.name}" for column in contract.inputs_of("history"))
    rate = "from features.ftr_online_cohorts select source_default_rate where segment = 'all' and source = 'simulated'"
    inputs = f"json_object({history}, 'source_default_rate', ({rate}))"
    with writer("test", built) as con:
        con.execute(
            f"""insert into serving.predictions by name
            select borrower_id as decision_id, as_of as decided_at, as_of as features_as_of, source, borrower_id,
                'new-' || borrower_id as application_id, {inputs} as inputs,
                'default_risk_simulated' as model_name, 1 as model_version, 'online' as route
            from features.ftr_online_borrowers as borrowers where source = 'simulated'"""
        )
        con.execute(
            """insert into core.int_statements by name
            select borrower_id, any_value(source) as source, max(statement_on) + interval 1 day as statement_on,
                max(known_at) as known_at, 1.0 as credit_limit, 2.0 as balance, 3.0 as paid_amount,
                4 as months_past_due, max(loaded_at) as loaded_at, false as is_known_by_load
            from core.int_statements where source = 'simulated' group by borrower_id order by borrower_id limit 1"""
        )

    with connect(built) as con:
        found = compare_history(con, contract, model)
        (month,) = {month for month, _ in found}
        asked = compare_history(con, contract, model, months=[month])
        con.execute("set variable built_months = [date '1999-01-01']")
        of_another_month = con.execute("select count(*) from monitoring.decision_history").fetchall()

    measured = {name: tally for (_, name), tally in found.items()}
    late = measured["n_statements_6m"]
    assert measured["source_default_rate"].n_different == 0
    assert late.n_decisions > 500
    assert (late.n_different, late.total_distance) == (1, 1.0)
    assert measured["latest_months_past_due"].n_different == 1
    assert asked == found
    assert of_another_month == [(0,)]


def test_no_column_of_an_application_was_written_after_its_decision(built: Settings) -> None:
    """Lending Club's file mixes what was applied for with how it went: each column is followed back to the file."""
    manifest = json.loads((built.home / "target" / "manifest.json").read_text())
    source = manifest["sources"]["source.loanlake.raw.lending_club_loans"]
    later = set(source["config"]["meta"]["written_after_the_decision"])
    compiled = built.home / "target" / "compiled" / "loanlake" / "models" / "staging" / "lending_club"
    read_as = {
        typed: raw
        for raw, typed in re.findall(
            r'raw\."(\w+)" as "(\w+)_raw"', (compiled / "stg_lending_club__loans.sql").read_text()
        )
    }

    applications = sqlglot.parse_one((compiled / "stg_lending_club__applications.sql").read_text(), dialect="duckdb")
    read = {read_as[column.name] for column in applications.find_all(exp.Column) if column.name in read_as}

    assert later <= set(SOURCES["lending_club"].entities["loans"]), "the list names columns that the file lacks"
    assert later & set(read_as.values()), "outcomes do read columns written later: the test would see them"
    assert not list(applications.find_all(exp.Star))
    assert len(read) > 20
    assert read & later == set()
