"""Rows that later files restate: each decision sees the version known before it, whenever its tables are built.

One home for the module. Its lender's statements, outcomes and applications are built, then corrected by five files,
then built again from the new lines alone. What a correction may change is told from the files, not from the versions.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ml.decisions.history_rows import history_rows
from warehouse.lake.connection import connect, current_snapshot
from warehouse.raw.keys import read_manifest
from warehouse.settings import DBT_PROJECT_DIR, Settings
from warehouse.sources import ingest_files, ingest_simulated

pytestmark = pytest.mark.extended

ENTITIES = ["applications", "statements", "outcomes", "demographics"]
#: What each file restates of whom. A borrower is of one kind: corrected with a time, without one, or said again equal.
EXPLICIT, BY_LOAD, EQUAL = (f"hash(borrower_id) % 3 = {kind}" for kind in range(3))
CORRECTIONS = {
    "explicit-statements": (
        "statements",
        "* replace (cast(cast(balance as double) + 100 as text) as balance, "
        "cast(cast(known_at as timestamp) + interval 45 day as text) as known_at)",
        EXPLICIT,
    ),
    "by-load-statements": (
        "statements",
        "* replace (cast(cast(balance as double) + 10 as text) as balance, cast(null as text) as known_at)",
        BY_LOAD,
    ),
    "equal-statements": (
        "statements",
        "* replace (cast(cast(known_at as timestamp) + interval 5 day as text) as known_at)",
        EQUAL,
    ),
    "explicit-outcomes": (
        "outcomes",
        "* replace (cast(not cast(is_default as boolean) as text) as is_default, "
        "cast(cast(known_at as timestamp) + interval 60 day as text) as known_at)",
        "hash(application_id) % 5 = 0",
    ),
    "by-load-applications": ("applications", "* replace ('1000' as annual_income)", "true"),
}


def run_dbt(settings: Settings, *arguments: str) -> str:
    """Run dbt on the tables up to training of the one lender there is."""
    command = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *arguments, "--target", "prod"]
    done = subprocess.run(
        [*command, "--vars", json.dumps({"lenders": {"simulated": ENTITIES}})],
        cwd=DBT_PROJECT_DIR,
        env={**os.environ, "DBT_TARGET_PATH": str(settings.dbt_target), "DBT_LOG_PATH": str(settings.logs)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    return done.stdout


def build(settings: Settings, *arguments: str) -> int:
    """Build the tables; return the lake's snapshot then."""
    others = ("staging.lending_club", "staging.uci_credit_card", "portfolio", "monitoring")
    run_dbt(settings, "run", "--exclude", *others, *arguments)
    with connect(settings) as con:
        return current_snapshot(con)


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with connect(settings) as con:
        return con.execute(query).fetchall()


def load(settings: Settings, directory: Path, name: str, entity: str, query: str) -> None:
    path = directory / f"{name}.parquet"
    with connect(settings) as con:
        con.execute(f"copy ({query}) to '{path}'")
    ingest_files("simulated", [path], settings, entity)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LOANLAKE_CATALOG", "LOANLAKE_LAKE_DATA", "LOANLAKE_DEFAULT_LENDER", "LOANLAKE_REDIS_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("LOANLAKE_HOME", str(tmp_path_factory.mktemp("home")))
        settings = Settings.from_environment()
        ingest_simulated(settings, applications=900, months=36, seed=5)
        yield settings


@pytest.fixture(scope="module")
def before(settings: Settings) -> int:
    """The snapshot before any correction came."""
    return build(settings)


@pytest.fixture(scope="module")
def after(settings: Settings, before: int, tmp_path_factory: pytest.TempPathFactory) -> int:
    """The snapshot after all corrections were loaded, and their lines alone were read."""
    directory = tmp_path_factory.mktemp("corrections")
    for name, (entity, columns, condition) in CORRECTIONS.items():
        restated = (
            f"select {columns} from raw.simulated_{entity} where {condition} and not contains(_file, '-{entity}.')"
        )
        query = f"select * exclude (_file, _line, _loaded_at) from ({restated})"
        load(settings, directory, name, entity, query)
    return build(settings)


#: Applications whose borrower's rows, by their files, were corrected before the decision, at the correction's own time.
CORRECTED_BEFORE = """
    select application_id from core.int_applications as decided where exists (
        select 1 from raw.simulated_statements as corrected
        where corrected._file = 'explicit-statements.parquet' and corrected.borrower_id = decided.borrower_id
            and cast(corrected.known_at as timestamp) < decided.decided_at
    ) or exists (
        select 1 from raw.simulated_outcomes as corrected
        join raw.simulated_applications as earlier using (application_id)
        where corrected._file = 'explicit-outcomes.parquet' and earlier.borrower_id = decided.borrower_id
            and cast(corrected.known_at as timestamp) < decided.decided_at
    )"""


def test_a_decision_made_before_a_correction_was_known_keeps_its_history_to_the_bit(
    settings: Settings, before: int, after: int
) -> None:
    """Also where the tables of its month are built again; those decided after it have the corrected values."""
    history = "features.ftr_application_history"
    differing = f"from {history} at (version => {before}) except all from {history} at (version => {after})"

    changed = {row[0] for row in rows(settings, differing)}
    may_change = {each for (each,) in rows(settings, CORRECTED_BEFORE)}

    assert changed <= may_change
    assert len(changed) > 50
    ((n_all,),) = rows(settings, f"select count(*) from {history}")
    assert len(may_change) < n_all / 2


def test_the_training_rows_of_decisions_made_before_a_correction_was_known_are_the_same_to_the_bit(
    settings: Settings, before: int, after: int
) -> None:
    """But for the cohorts, which corrected outcomes of other borrowers change: the next test is about them."""
    table, columns = "training.trn_default_v2", "is_default, label_known_at, split"
    cohorts = "purpose_relative_default_rate, region_relative_default_rate"
    mature = f"select application_id from {table} at (version => {before})"

    trained, rebuilt = (
        rows(
            settings,
            f"select * exclude ({columns}, {cohorts}) from {table} at (version => {each}) "
            f"where application_id in ({mature}) and application_id not in ({CORRECTED_BEFORE}) "
            "order by application_id",
        )
        for each in (before, after)
    )

    assert trained == rebuilt
    assert len(trained) > 50


def test_the_cohorts_of_the_days_before_a_corrected_outcome_was_known_are_the_same(
    settings: Settings, before: int, after: int
) -> None:
    ((first,),) = rows(
        settings,
        "select min(cast(known_at as timestamp)) from raw.simulated_outcomes where _file = 'explicit-outcomes.parquet'",
    )
    rates = "select source, segment, segment_value, as_of, n_outcomes, n_defaults, default_rate"
    table = "from features.ftr_cohort_rates at (version => {})"

    differing = rows(
        settings,
        f"select as_of from ({rates} {table.format(before)} except all {rates} {table.format(after)})",
    )

    assert len(differing) > 20
    assert min(as_of for (as_of,) in differing) > first


def test_every_version_is_kept_with_the_time_it_was_known(settings: Settings, after: int) -> None:
    """Two where the file says something else, known when it says or when it was loaded; one where it says the same."""
    found = rows(
        settings,
        f"""select case when {EXPLICIT} then 'explicit' when {BY_LOAD} then 'by load' else 'equal' end as kind,
            count(*) / count(distinct (borrower_id, statement_on)) as n_versions,
            bool_and(superseded_at is not distinct from next_known_at),
            bool_and(is_known_by_load = (place = 2 and {BY_LOAD})),
            bool_and(known_at = case when {BY_LOAD} and place = 2 then loaded_at else stated_at end)
        from (
            select *, lead(known_at) over statement as next_known_at, row_number() over statement as place,
                (select min(cast(known_at as timestamp)) from raw.simulated_statements as line
                    where line.borrower_id = versions.borrower_id and line._loaded_at = versions.loaded_at
                    and cast(line.statement_on as date) = versions.statement_on) as stated_at
            from core.int_statements as versions
            window statement as (partition by borrower_id, statement_on order by known_at)
        ) group by kind order by kind""",
    )

    assert found == [
        ("by load", 2.0, True, True, True),
        ("equal", 1.0, True, True, True),
        ("explicit", 2.0, True, True, True),
    ]


def test_an_application_stays_as_it_was_when_decided_and_its_correction_is_kept(settings: Settings, after: int) -> None:
    assert rows(settings, "select count(*) from core.int_applications where annual_income = 1000") == [(0,)]
    assert rows(
        settings, "select count(*) = (select count(*) from core.int_applications) from core.int_application_versions "
        "where annual_income = 1000 and is_known_by_load and superseded_at is null"
    ) == [(True,)]  # fmt: skip


def test_a_correction_that_is_known_by_its_load_moves_no_clock(settings: Settings, before: int, after: int) -> None:
    """By the load, all windows of a lender whose files end years before would be over."""
    clock = "select clock_at, online_as_of from core.int_clocks at (version => {})"
    ((clock_before, _),), ((clock_after, online_as_of),) = (
        rows(settings, clock.format(before)),
        rows(settings, clock.format(after)),
    )
    ((newest,), (stated,)) = rows(
        settings,
        "select max(known_at) from core.int_statements union all "
        "select max(cast(known_at as timestamp)) from (select known_at from raw.simulated_statements "
        "where _file <> 'equal-statements.parquet' "
        "union all select known_at from raw.simulated_outcomes "
        "union all select decided_at from raw.simulated_applications)",
    )

    assert clock_before < clock_after == stated < online_as_of < newest


def test_a_lineage_names_the_version_that_was_known(settings: Settings, after: int) -> None:
    """The day before the correction counts the first line, the day after it that of the correction."""
    manifest = read_manifest(settings, compiled="ftr_application_history")
    (statements,) = (each for each in history_rows(manifest) if each.entity == "statements")
    ((borrower, day, known_at),) = rows(
        settings,
        "select borrower_id, statement_on, known_at from core.int_statements where superseded_at is null "
        f"and {EXPLICIT} order by borrower_id, statement_on limit 1",
    )
    files = []
    for moment in (known_at, known_at + timedelta(days=1)):
        version = f"select * from ({statements.sql(borrower, moment)}) where statement_on = '{day}'"
        files += rows(
            settings,
            f"select line._file from ({version}) as version join raw.simulated_statements as line "
            "on line.borrower_id = version.borrower_id and cast(line.statement_on as date) = version.statement_on "
            "and line._loaded_at = version.loaded_at",
        )

    ((first,), (correction,)) = files
    assert first.startswith("statements-")
    assert correction == "explicit-statements.parquet"


def test_online_is_offline_for_a_decision_at_the_same_moment(
    settings: Settings, after: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of those whose corrections have times; those of the others were loaded later, and online knows them already."""
    ((as_of,),) = rows(settings, "select online_as_of from core.int_clocks")
    columns = [
        name
        for (name,) in rows(settings, "select column_name from (describe features.ftr_online_borrowers)")
        if name not in ("borrower_id", "source", "as_of")
    ]
    values = ", ".join(columns)
    online = rows(settings, f"select borrower_id, {values} from features.ftr_online_borrowers order by 1")
    owed = rows(
        settings,
        "select borrower_id, round(sum(balance), 2) from core.int_statements join core.int_clocks using (source) "
        f"where {BY_LOAD} and superseded_at is null and statement_on >= online_as_of - interval 6 months "
        "group by borrower_id order by borrower_id",
    )

    load(
        settings, tmp_path_factory.mktemp("now"), "now", "applications",
        f"select * exclude (_file, _line, _loaded_at) replace ('now-' || borrower_id as application_id, "
        f"'{as_of}' as decided_at) from raw.simulated_applications where _file not like 'by-load%' "
        "qualify row_number() over (partition by borrower_id order by application_id) = 1",
    )  # fmt: skip
    build(settings)

    offline = rows(
        settings,
        f"select substr(application_id, 5) as borrower_id, {values} from features.ftr_application_history "
        "where application_id like 'now-%' order by 1",
    )
    by_load = {
        each for (each,) in rows(settings, f"select distinct borrower_id from core.int_statements where {BY_LOAD}")
    }
    total_balance = {row[0]: row[1 + columns.index("total_balance_6m")] for row in online}
    assert [row for row in online if row[0] not in by_load] == [row for row in offline if row[0] not in by_load]
    assert len(offline) - len(by_load) > 100
    assert [(borrower, total_balance[borrower]) for borrower, _ in owed] == owed
    assert len(owed) > 20


def test_a_loan_that_a_correction_gives_to_another_borrower_is_online_in_the_history_of_that_one(
    settings: Settings, after: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its file has no time of its own: decisions made before the load keep whose it was."""
    counted = "select borrower_id, n_prior_applications from features.ftr_online_borrowers"
    history = "select * from features.ftr_application_history order by application_id"
    before, as_decided = dict(rows(settings, counted)), rows(settings, history)
    owner = max(before)
    loans = f"raw.simulated_applications where _file like 'applications-%' and borrower_id <> '{owner}'"
    moved = f"{loans} qualify row_number() over (order by application_id) <= 40"
    lost = dict(rows(settings, f"select borrower_id, count(*) from (select borrower_id from {moved}) group by all"))

    load(
        settings, tmp_path_factory.mktemp("moved"), "moved", "applications",
        f"select * exclude (_file, _line, _loaded_at) replace ('{owner}' as borrower_id) from {moved}",
    )  # fmt: skip
    build(settings)

    now = dict(rows(settings, counted))
    assert now[owner] == (before[owner] or 0) + 40
    assert {borrower: now.get(borrower) or 0 for borrower in lost} == {
        borrower: before[borrower] - n for borrower, n in lost.items()
    }
    assert rows(settings, history) == as_decided


def test_history_and_cohorts_counted_again_agree(settings: Settings, after: int) -> None:
    """By other SQL than the features'; a key has one newest version, and no two versions share their times."""
    done = run_dbt(
        settings, "test", "--select",
        "history_is_recounted_from_known_rows", "cohorts_are_recounted_from_known_outcomes",
        "test_type:generic,int_statements", "test_type:generic,int_outcome_versions",
        "test_type:generic,int_application_versions",
    )  # fmt: skip

    assert "PASS=0" not in done


def test_what_was_built_from_new_lines_is_what_a_full_build_makes(settings: Settings, after: int) -> None:
    with connect(settings) as con:
        built = current_snapshot(con)
    tables = [
        name
        for (name,) in rows(
            settings,
            "select table_schema || '.' || table_name from information_schema.tables where table_catalog = 'lake' "
            "and table_type = 'BASE TABLE' and table_schema in ('staging', 'core', 'features', 'training') "
            "order by all",
        )
    ]

    build(settings, "--full-refresh")

    differing = {}
    for table in tables:
        then, now = f"from {table} at (version => {built})", f"from {table}"
        differing[table] = len(rows(settings, f"({then} except all {now}) union all ({now} except all {then})"))
    assert differing == dict.fromkeys(tables, 0)
