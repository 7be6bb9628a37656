"""Tables of a real PostgreSQL server into raw rows: each change once, whatever is killed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests import team_servers
from tests.unit.warehouse.sources.conftest import Rows
from tests.unit.warehouse.sources.pulling.conftest import Declare
from warehouse.errors import LakeBusyError, PullError, SettingError
from warehouse.lenders import rules
from warehouse.settings import REPOSITORY, Settings
from warehouse.sources import ingest_files
from warehouse.sources.pulling import pull as pulling
from warehouse.sources.pulling.pull import pull
from warehouse.sources.recorded import pull_texts
from warehouse.sources.reloading import reload_table

#: Where a pull is killed, by what it calls next.
KILLED_BEFORE = {
    "the landing file": "pull.write_changes",
    "loading": "pull.ingest_pulled",
    "the commit": "landing.LandedFile.require_unchanged",
    "the report": "pull.PullResult",
}
#: One process that has imported what a pull needs forks for each pull that is killed.
KILLED = """
import os, signal, sys
from pathlib import Path
import psycopg
from warehouse.lenders import rules
from warehouse.settings import Settings
from warehouse.sources import landing
from warehouse.sources.pulling import pull
from warehouse.sources.pulling.engine import require_dlt
require_dlt()
import dlt.sources.sql_database
def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
def patch(point):
    *path, name = point.split(".")
    owner = globals()[path[0]]
    for each in path[1:]:
        owner = getattr(owner, each)
    setattr(owner, name, kill)
rules.DIRECTORY = Path({directory!r})
for number, point in enumerate({points!r}, 10):
    with psycopg.connect({database!r}, autocommit=True) as con:
        con.execute("insert into lending.loans (loan_id, updated_at) values (%s, '2024-03-05Z')", [number])
        con.execute("update lending.loans set amount = %s, updated_at = '2024-03-05Z' where loan_id = 2", [number])
    if (child := os.fork()) == 0:
        patch(point)
        pull.pull("bank", Settings.from_environment())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
        sys.exit(f"not killed before {{point}}: {{status}}")
"""


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with team_servers.database() as found:
        yield found


@pytest.fixture
def core(database: str, declare: Declare) -> Iterator[psycopg.Connection]:
    """The core banking system, with two loans, one of them never updated."""
    parts = psycopg.conninfo.conninfo_to_dict(database)
    declare(f"""
connections:
  core:
    kind: postgresql
    host: {parts["host"]}
    port: {parts["port"]}
    database: {parts["dbname"]}
    user: {parts.get("user") or os.environ.get("USER") or "root"}
pulls:
  loans: {{connection: core, table: lending.loans, row_key: [loan_id], cursor: updated_at}}
""")
    with psycopg.connect(database, autocommit=True) as con:
        con.execute(
            "create schema lending; create table lending.loans (loan_id bigint primary key, amount numeric(30, 10), "
            "position double precision, opened_on date, terms jsonb, remark text, is_open boolean, "
            "updated_at timestamptz)"
        )
        con.execute(
            "insert into lending.loans values (12345678901234567, 99999999999999999999.1234567890, 0.1, '2024-01-31', "
            """'{"rate": 0.10, "steps": [1]}', '', true, '2024-03-01 10:00:00.000001+02'), """
            "(2, null, null, null, null, null, null, null)"
        )
        yield con
        con.execute("drop schema lending cascade")


def test_values_are_exact_texts_with_their_origin(core: psycopg.Connection, home: Settings, rows: Rows) -> None:
    (result,) = pull("bank", home)

    assert rows("select * exclude (_file, _loaded_at) from raw.bank_loans order by _line") == [
        (
            *("12345678901234567", "99999999999999999999.1234567890", "0.1", "2024-01-31"),
            *('{"rate": 0.10, "steps": [1]}', "", "true", "2024-03-01 08:00:00.000001+00:00", 2),
        ),
        ("2", None, None, None, None, None, None, None, 3),
    ]
    cursor = "2024-03-01 08:00:00.000001+00:00"
    assert (result.n_read, result.n_loaded, result.cursor_to) == (2, 2, cursor)
    assert result.notices == ("rows without a value of updated_at: 1; each pull reads them again",)
    [(pulled_from, cursor_from, cursor_to, row_key)] = rows(
        "select pulled_from, cursor_from, cursor_to, row_key from raw.files"
    )
    assert str(pulled_from).endswith(f"{core.info.dbname} lending.loans")
    assert (cursor_from, cursor_to, row_key) == (None, cursor, "loan_id")
    with pulling.lake.connect(home) as con:
        (text,) = pull_texts(con, "bank")
    assert text.startswith("bank loans: newest rows pulled ")
    assert text.endswith(f"{core.info.dbname} lending.loans, up to {cursor}")


def test_only_new_and_changed_rows_are_loaded(core: psycopg.Connection, home: Settings, rows: Rows) -> None:
    """Rows at the boundary are read again each time, late ones of the same moment with them."""
    pull("bank", home)
    core.execute("insert into lending.loans (loan_id, updated_at) values (3, '2024-03-01 08:00:00.000001Z')")
    core.execute("insert into lending.loans (loan_id, updated_at) values (4, '2024-02-01Z')")  # before the cursor
    core.execute("update lending.loans set amount = 1, updated_at = '2024-03-02Z' where loan_id = 2")

    first, second = pull("bank", home)[0], pull("bank", home)[0]

    assert (first.n_read, first.n_loaded) == (3, 2)
    assert (second.n_read, second.n_loaded, second.loaded) == (1, 0, ())
    found = rows("select loan_id, count(*) from raw.bank_loans group by all order by all")
    assert found == [("12345678901234567", 1), ("2", 2), ("3", 1)]


def test_a_row_that_changes_back_is_a_new_version(
    core: psycopg.Connection, home: Settings, rows: Rows, declare: Declare
) -> None:
    """Without a cursor all rows are read, and each is compared with its newest version, not with any."""
    file = rules.DIRECTORY / "bank.yml"
    declare(file.read_text().replace(", cursor: updated_at", ""))
    for amount in (5, 6, 5, 5):
        core.execute("update lending.loans set amount = %s where loan_id = 2", [amount])
        pull("bank", home)

    found = rows("select amount from raw.bank_loans where loan_id = '2' order by _loaded_at")

    assert [str(amount)[:1] for (amount,) in found] == ["5", "6", "5"]


def test_a_correction_that_came_as_a_file_is_not_undone(
    core: psycopg.Connection, home: Settings, tmp_path: Path
) -> None:
    """The boundary's rows are read again in each pull, with the values that were corrected."""
    pull("bank", home)
    correction = tmp_path / "correction.csv"
    correction.write_text(
        "loan_id,amount,position,opened_on,terms,remark,is_open,updated_at\n12345678901234567,7,,,,,,\n"
    )
    ingest_files("bank", [correction], home, "loans")

    assert pull("bank", home)[0].n_loaded == 0


def test_another_cursor_column_reads_all_rows_again(
    core: psycopg.Connection, home: Settings, rows: Rows, declare: Declare
) -> None:
    """The values of one column say nothing of another: rows would be missed."""
    pull("bank", home)
    declare((rules.DIRECTORY / "bank.yml").read_text().replace("cursor: updated_at", "cursor: loan_id"))

    (result,) = pull("bank", home)

    assert (result.n_read, result.n_loaded, result.cursor_to) == (2, 0, "12345678901234567")


def test_rows_committed_late_are_read_by_looking_back(
    core: psycopg.Connection, home: Settings, rows: Rows, declare: Declare
) -> None:
    file = rules.DIRECTORY / "bank.yml"
    declare(file.read_text().replace("updated_at}", "updated_at, look_back: 3600}"))
    pull("bank", home)
    core.execute("insert into lending.loans (loan_id, updated_at) values (5, '2024-03-01 07:30Z')")

    (result,) = pull("bank", home)

    assert (result.n_read, result.n_loaded) == (3, 1)


def test_no_row_is_lost_or_doubled_wherever_a_pull_is_killed(
    core: psycopg.Connection, database: str, home: Settings, rows: Rows
) -> None:
    points = list(KILLED_BEFORE.values())
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(directory=str(rules.DIRECTORY), points=points, database=database)],
        cwd=REPOSITORY,
        env={**os.environ, "LOANLAKE_HOME": str(home.home)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()

    pull("bank", home)

    found = rows("from (select loan_id, amount, updated_at from raw.bank_loans)")
    newest = rows(
        "select loan_id from raw.bank_loans "
        "qualify row_number() over (partition by loan_id order by _loaded_at desc, _line desc) = 1"
    )
    assert len(found) == len(set(found)), "no row twice"
    assert len(newest) == 2 + len(points), "no row lost"
    assert ("2", "13.0000000000", "2024-03-05 00:00:00+00:00") in found
    assert not list((home.landing / "bank" / "loans").glob(".*")), "no draft is left"
    assert reload_table(home, "raw.bank_loans").n_rows == len(found), "the landing files have them all"


def _loaded(settings: Settings) -> list[tuple[object, ...]]:
    with pulling.lake.connect(settings) as con:
        return con.execute("select count(*) from raw.bank_loans where loan_id = '6'").fetchall()


def test_a_pull_that_another_machine_was_faster_than_loads_nothing(
    core: psycopg.Connection, team: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is this machine's; the transaction that loads compares the lake with what the pull began with.

    The team's database has no lake before the first pull.
    """
    pull("bank", team)
    core.execute("insert into lending.loans (loan_id, updated_at) values (6, '2024-03-06Z')")
    load = pulling.ingest_pulled

    def other_first(*arguments: object) -> object:
        monkeypatch.setattr(pulling, "ingest_pulled", load)
        with pulling.lake.writer("another machine", team) as con:
            con.execute(
                "insert into raw.files by name select * replace ('other.parquet' as file, 'x' as sha256, "
                "loaded_at + interval 1 second as loaded_at) from raw.files"
            )
        return load(*arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(pulling, "ingest_pulled", other_first)
    with pytest.raises(LakeBusyError, match=r"another loaded other\.parquet meanwhile; nothing of this one was loaded"):
        pull("bank", team)

    assert _loaded(team) == [(0,)]
    assert pull("bank", team)[0].n_loaded == 1, "the next pull reads it again"
    assert _loaded(team) == [(1,)]


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ("lending.loan,", "lending.loans,", r"must have the table lending\.loan, .*: found none, did you mean loans\?"),
        ("[loan_i]", "[loan_id]", r"must have the column loan_i: found none, did you mean loan_id\?"),
        (
            "cursor: remark",
            "cursor: updated_at",
            r"the cursor remark of lending\.loans must be a column of whole numbers",
        ),
        ("port: 1\n", "port: ", r"the database .* on 127\.0\.0\.1:1 cannot be read as .*refused.*nothing was loaded"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_to_do(
    core: psycopg.Connection, home: Settings, rows: Rows, declare: Declare, wrong: str, right: str, message: str
) -> None:
    text = (rules.DIRECTORY / "bank.yml").read_text()
    if wrong.startswith("port"):
        right = f"port: {text.partition('port: ')[2].partition(chr(10))[0]}\n"
    declare(text.replace(right, wrong))

    with pytest.raises(PullError, match=message):
        pull("bank", home)

    assert rows("select count(*) from raw.files") == [(0,)]


def test_rows_without_a_key_of_their_own_are_quarantined_once(
    core: psycopg.Connection, home: Settings, rows: Rows, declare: Declare
) -> None:
    """Their versions could not be told apart; the good rows beside them are loaded, whichever pull reads which."""
    core.execute(
        "alter table lending.loans drop constraint loans_pkey; alter table lending.loans alter loan_id drop not null"
    )
    core.execute("insert into lending.loans (loan_id, remark) values (null, 'x'), (7, 'a'), (7, 'b')")
    core.execute(
        "insert into lending.loans (loan_id, amount, updated_at) values (8, 1, '2024-01-01Z'), (8, 2, '2024-01-02Z')"
    )

    first, second = pull("bank", home)[0], pull("bank", home)[0]

    assert (first.n_read, first.n_loaded, [each.n_rejected for each in first.loaded]) == (7, 3, [3])
    assert "rows that changed while they were read: 1; the newest version of each was taken" in first.notices
    assert (second.n_loaded, second.loaded) == (0, ())
    assert rows("select loan_id, amount from raw.bank_loans where loan_id in ('7', '8')") == [("8", "2.0000000000")]
    reason = "the row key loan_id names several rows that differ"
    rejected = rows(
        "select line, value->>'$.remark', reason, pulled_from is not null from raw.rejected_lines "
        "join raw.files using (source, entity, file) order by line"
    )
    assert rejected == [
        (4, "x", "no value of the row key loan_id", True),
        (5, "a", reason, True),
        (6, "b", reason, True),
    ]
    assert reload_table(home, "raw.bank_loans").n_rows == 3, "the landing file tells them apart too"

    core.execute(
        "delete from lending.loans where remark = 'b'; update lending.loans set loan_id = 9 where remark = 'x'"
    )
    assert pull("bank", home)[0].n_loaded == 2, "corrected in the source"


def test_times_that_python_has_not_stay_texts(core: psycopg.Connection, home: Settings, rows: Rows) -> None:
    """Also as a cursor, which they do not move: one such row would cost all others."""
    core.execute(
        "insert into lending.loans (loan_id, opened_on, updated_at) values "
        "(3, 'infinity', '-infinity'), (4, '0044-03-15 BC', 'infinity'), (5, '10000-01-01', '12024-03-01Z')"
    )

    (result,) = pull("bank", home)

    assert (result.n_loaded, result.cursor_to) == (5, "2024-03-01 08:00:00.000001+00:00")
    assert rows(
        "select opened_on, updated_at from raw.bank_loans where loan_id in ('3', '4', '5') order by loan_id"
    ) == [
        ("infinity", "-infinity"),
        ("0044-03-15 BC", "infinity"),
        ("10000-01-01", "12024-03-01 00:00:00+00"),
    ]


def test_a_key_that_no_row_has_is_refused(core: psycopg.Connection, home: Settings, declare: Declare) -> None:
    """Such a declaration is wrong: nothing is quarantined for it."""
    core.execute("update lending.loans set remark = 'same'")
    declare((rules.DIRECTORY / "bank.yml").read_text().replace("[loan_id]", "[remark]"))

    with pytest.raises(PullError, match=r"the row key remark must .*found no such row, but .* differ in 2 rows"):
        pull("bank", home)


def test_the_password_shows_in_no_error(
    core: psycopg.Connection, home: Settings, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    core.execute("drop role if exists loanlake_test_reader")
    core.execute("create role loanlake_test_reader login password 'other'")
    try:
        monkeypatch.setenv("CORE_PASSWORD", "pa:ss@word")
        text = (rules.DIRECTORY / "bank.yml").read_text()
        user = text.partition("user: ")[2].partition("\n")[0]
        declare(text.replace(f"user: {user}", "user: loanlake_test_reader\n    secret_from: env:CORE_PASSWORD"))

        with pytest.raises(PullError) as refused:
            pull("bank", home)

        assert "loanlake_test_reader" in str(refused.value)
        assert "pa:ss@word" not in str(refused.value)
    finally:
        core.execute("drop role loanlake_test_reader")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("env:NO_SUCH_VARIABLE", "must be in the environment variable NO_SUCH_VARIABLE: it is not set, or empty"),
        ("file:/no/such/file", "must be in the file /no/such/file: it cannot be read"),
    ],
)
def test_a_missing_secret_is_named(
    core: psycopg.Connection, home: Settings, declare: Declare, where: str, message: str
) -> None:
    declare((rules.DIRECTORY / "bank.yml").read_text().replace("kind: ", f"secret_from: {where}\n    kind: "))

    with pytest.raises(SettingError, match=message):
        pull("bank", home)


def test_one_pull_at_a_time_reads_an_entity(core: psycopg.Connection, home: Settings) -> None:
    lock = home.home / "locks" / "pull-bank-loans.lock"

    with pulling.file_turn_if_free(lock), pytest.raises(LakeBusyError, match="another is doing it"):
        pull("bank", home)


def test_an_undeclared_entity_is_refused_with_the_nearest(core: psycopg.Connection, home: Settings) -> None:
    with pytest.raises(SettingError, match="found loan, did you mean loans"):
        pull("bank", home, "loan")


def test_a_lender_without_pulls_needs_no_dlt(declare: Declare, home: Settings, tmp_path: Path) -> None:
    declare("title: Bank")

    with pytest.raises(SettingError, match="must declare what is pulled for bank, under `connections` and `pulls`"):
        pull("bank", home)
