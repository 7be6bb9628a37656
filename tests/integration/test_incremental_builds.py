"""dbt takes in what changed: the same tables as a full build gives, and nothing else touched.

One home for the module, whose files come in pieces; each run of dbt takes some seconds, so each test goes on from where
the one before has left the tables.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.dbt_runs import Running
from tests.lender_in_pieces import load_pieces
from warehouse.lake.connection import connect, current_snapshot, writer
from warehouse.lake.maintenance import maintain
from warehouse.settings import DBT_PROJECT_DIR, Settings

pytestmark = pytest.mark.extended

N_PIECES = 3


@pytest.fixture(scope="module")
def settings(
    tmp_path_factory: pytest.TempPathFactory,
    give_parse: Callable[[Settings], None],
    start_from_parse: Callable[[Path], None],
) -> Iterator[Settings]:
    """A home whose lender came in three pieces, each built after it came; before the last a borrower was deleted."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LOANLAKE_CATALOG", "LOANLAKE_LAKE_DATA", "LOANLAKE_DEFAULT_LENDER"):
            patch.delenv(name, raising=False)
        patch.setenv("LOANLAKE_HOME", str(home / "home"))
        settings = Settings.from_environment()
        give_parse(settings)  # for Dagster's backfill
        start_from_parse(settings.home / "target")
        for piece in load_pieces(settings, home / "files", n_pieces=N_PIECES, seed=11):
            if piece == N_PIECES - 1:
                forget_a_borrower(settings)
            run_dbt(settings, "run", "--exclude", "monitoring")
        yield settings


def forget_a_borrower(settings: Settings) -> None:
    with writer("test", settings) as con:
        borrower = "select min(borrower_id) from raw.simulated_applications"
        for table in ("statements", "applications"):
            con.execute(f"delete from raw.simulated_{table} where borrower_id = ({borrower})")


def start_dbt(settings: Settings, *arguments: str, project: Path = DBT_PROJECT_DIR, name: str = "") -> Running:
    """Begin a dbt command, with artefacts under the home."""
    target, logs = settings.home / f"target{name}", settings.home / f"logs{name}"
    return Running(*arguments, "--target", "prod", target=target, logs=logs, project=project)


def run_dbt(settings: Settings, *arguments: str, project: Path = DBT_PROJECT_DIR) -> dict[str, str]:
    """Run dbt; what it says of each model: all rows, so many months, so many rows, unchanged."""
    done = start_dbt(settings, *arguments, project=project).done()
    assert done.returncode == 0, done.stdout[-5000:]
    return dict(re.findall(r"model \w+\.(\w+) \.* \[(.*) in [\d.]+s\]", done.stdout))


def tables(settings: Settings) -> list[str]:
    with connect(settings) as con:
        rows = con.execute(
            "select table_schema || '.' || table_name from information_schema.tables where table_catalog = 'lake' "
            "and table_type = 'BASE TABLE' "
            "and table_schema in ('staging', 'core', 'features', 'training', 'portfolio') order by all"
        ).fetchall()
    return [name for (name,) in rows]


def differing(settings: Settings, table: str, snapshot: int) -> int:
    """Rows of the table that the snapshot's did not have, and the other way round."""
    with connect(settings) as con:
        then, now = f"from {table} at (version => {snapshot})", f"from {table}"
        return len(con.execute(f"({then} except all {now}) union all ({now} except all {then})").fetchall())


def test_a_build_with_nothing_new_writes_nothing(settings: Settings) -> None:
    """Also after maintenance, which writes files anew and changes no row."""
    maintained = maintain(settings, retention=timedelta(days=1), grace=timedelta(days=1))
    with connect(settings) as con:
        before = current_snapshot(con)

    built = run_dbt(settings, "run", "--exclude", "monitoring")

    with connect(settings) as con:
        after = current_snapshot(con)
    assert maintained.n_files_rewritten > 0
    assert set(built.values()) == {"unchanged"}
    assert after == before


def test_what_came_in_pieces_is_what_a_full_build_makes(settings: Settings) -> None:
    """Late, restated, bad and deleted rows: every table, row by row, bit by bit."""
    with connect(settings) as con:
        in_pieces = current_snapshot(con)
        rows = con.execute("select source, count(*) > 5 from training.trn_default group by all order by all").fetchall()

    run_dbt(settings, "run", "--exclude", "monitoring", "--full-refresh")

    assert rows == [("lending_club", True), ("simulated", True)]
    assert [(table, differing(settings, table, in_pieces)) for table in tables(settings)] == [
        (table, 0) for table in tables(settings)
    ]


def test_a_backfill_is_one_run_that_replaces_its_months_whole(settings: Settings) -> None:
    """Months of features and training rows are made again, each once; other months are not touched."""
    import dagster as dg

    from orchestration.defs.warehouse.dbt_resource import dbt_of
    from orchestration.defs.warehouse.months import rebuilt_months

    with connect(settings) as con:
        snapshot = current_snapshot(con)

    result = dg.materialize(
        [rebuilt_months],
        resources={"dbt": dbt_of()},
        tags={"dagster/asset_partition_range_start": "2024-03", "dagster/asset_partition_range_end": "2024-05"},
    )

    months = [f"2024-0{month}" for month in (3, 4, 5)]
    written = ["ftr_application_history", "ftr_cohort_rates", "ftr_application_inputs", "ftr_application_v1"]
    with connect(settings) as con:
        last = current_snapshot(con)
        touched = {
            table: con.execute(
                f"select distinct strftime({'as_of' if 'rates' in table else 'decided_at'}, '%Y-%m'), change_type "
                f"from ducklake_table_changes('lake', 'features', '{table}', {snapshot + 1}, {last}) order by all"
            ).fetchall()
            for table in written
        }
    partitions = [event.partition for event in result.asset_materializations_for_node("features__rebuilt_months")]
    assert partitions == months
    replaced = [(month, change) for month in months for change in ("delete", "insert")]
    assert [touched[table] for table in written] == [replaced] * len(written)
    assert {table: differing(settings, f"features.{table}", snapshot) for table in written} == dict.fromkeys(written, 0)


def test_an_edited_feature_is_never_half_old_half_new(settings: Settings, tmp_path: Path) -> None:
    """Its table is made anew, and those made of it; all others are left as they are, without a snapshot."""
    project = tmp_path / "warehouse"
    shutil.copytree(DBT_PROJECT_DIR, project, ignore=shutil.ignore_patterns("target", "logs", "__pycache__", "*.py"))
    feature = project / "macros" / "features" / "features_since_2.sql"
    ratio = "within('n_inquiries_6m / nullif(n_open_accounts, 0)', {})"
    feature.write_text(feature.read_text().replace(ratio.format("0, 100"), ratio.format("70, 100")))
    with connect(settings) as con:
        before = current_snapshot(con)

    built = run_dbt(settings, "run", "--exclude", "monitoring", project=project)

    with connect(settings) as con:
        after = current_snapshot(con)
        least = con.execute("select min(inquiries_per_account) from features.ftr_application_v2").fetchone()
    touched = {model: what for model, what in built.items() if what != "unchanged"}
    assert least == (70.0,)
    assert touched.pop("ftr_application_v2") == "all rows: its definition has changed"
    assert set(touched) == {"trn_default_v2", "trn_default", "ftr_application"}
    assert after - before == 4


def test_the_first_two_months_of_a_table_do_not_overwrite_each_other(settings: Settings) -> None:
    """Two processes, each asked for a month of tables that are not there yet, both before either has begun."""
    asked = ["ftr_application_history", "ftr_application_inputs"]
    with writer("test", settings) as con:
        snapshot = current_snapshot(con)
        for table in asked:
            con.execute(f"drop table features.{table}")

    both = [
        start_dbt(settings, "run", "--select", *asked, "--vars", f"{{months_from: {month}}}", name=month)
        for month in ("2024-01", "2024-02")
    ]

    ended = [running.done() for running in both]
    assert [done.returncode for done in ended] == [0, 0], ended
    built = re.findall(r"ftr_application_inputs \.* \[(.*) in", "".join(done.stdout for done in ended))
    assert sorted(built) == ["1 months", "all rows: new"]
    assert {table: differing(settings, f"features.{table}", snapshot) for table in asked} == dict.fromkeys(asked, 0)


def test_a_lender_whose_file_cannot_be_read_stays_as_it_was_built(settings: Settings, tmp_path: Path) -> None:
    """A key misspelt for one lender stopped every dbt command; its rows left out would empty its history."""
    project = tmp_path / "warehouse"
    shutil.copytree(DBT_PROJECT_DIR, project, ignore=shutil.ignore_patterns("target", "logs", "__pycache__", "*.py"))
    (project / "lenders" / "lending_club.yml").write_text("lable: {window_months: 12}\n")
    with connect(settings) as con:
        before = current_snapshot(con)

    built = run_dbt(settings, "run", "--select", "int_lenders", project=project)

    assert built == {"int_lenders": "0 rows written, 0 deleted"}
    assert differing(settings, "core.int_lenders", before) == 0


def test_a_new_description_is_a_comment_and_rebuilds_nothing(settings: Settings, tmp_path: Path) -> None:
    """Last, since the comment stays."""
    project = tmp_path / "warehouse"
    shutil.copytree(DBT_PROJECT_DIR, project, ignore=shutil.ignore_patterns("target", "logs", "__pycache__", "*.py"))
    statements = project / "models" / "core" / "int_statements.yml"
    statements.write_text(statements.read_text().replace("description: ", "description: Now ", 1))
    with connect(settings) as con:
        before = current_snapshot(con)

    described = run_dbt(settings, "run", "--select", "int_statements", project=project)
    again = run_dbt(settings, "run", "--select", "int_statements", project=project)

    with connect(settings) as con:
        after = current_snapshot(con)
        comment = con.execute("select comment from duckdb_tables() where table_name = 'int_statements'").fetchone()
    assert described == again == {"int_statements": "unchanged"}
    assert after == before + 1
    assert comment is not None
    assert comment[0].startswith("Now ")
