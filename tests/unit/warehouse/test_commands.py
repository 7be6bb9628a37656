"""`loanlake ingest` and `loanlake sql` as a user or a script meets them: output, errors, exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.bureau_api import bureau_api
from tests.unit.warehouse.readers.workbooks import workbook
from warehouse.commands import ingest, pull, sql
from warehouse.errors import SettingError, SourceFileError
from warehouse.lenders import rules
from warehouse.settings import Settings


def invoke(command: object, *arguments: str, piped: str | None = None) -> Result:
    return CliRunner().invoke(command, arguments, input=piped, catch_exceptions=True)  # type: ignore[arg-type]


@pytest.fixture
def loans_file(tmp_path: Path) -> Path:
    path = tmp_path / "loans.csv"
    path.write_text("id,amount\n1,100\n2,200\n3\n")
    return path


def test_pull_says_what_it_read_and_what_was_new(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "DIRECTORY", tmp_path)
    monkeypatch.setenv("BUREAU_TOKEN", "to-ken")
    with bureau_api() as bureau:
        (tmp_path / "mybank.yml").write_text(
            f"{bureau.connections}\n"
            "pulls: {reports: {connection: bureau, path: reports, items: data.reports, row_key: [report_id], "
            "cursor: updated_at, pages: number, page_parameter: page}}"
        )
        result = invoke(pull, "mybank")

    address = f"3 rows read from {bureau.url}/reports, up to 2024-03-02T10:00:00Z, 3 new or changed"
    assert f"mybank reports: {address}" in result.output
    assert ".parquet: loaded, 3 rows" in result.output
    assert result.exit_code == 0
    assert isinstance(invoke(pull, "mybank", "--entity", "report").exception, SettingError)


def test_ingest_says_what_it_loaded_and_what_it_rejected(home: Settings, tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    path.write_text("id,amount\n1,100\n2,200\n3\n4,400\n5,500\n")

    result = invoke(ingest, "mybank", str(path), "--entity", "loans")

    assert (
        "mybank loans: loans.csv: loaded, 4 rows, 1 line rejected (see raw.rejected_lines): 1 field instead of 2 (1)"
    ) in result.output
    assert "values are not read yet: after the next build" in result.output
    assert result.exit_code == 0


def test_ingest_reports_how_it_read_a_file_and_what_is_new_in_it(home: Settings, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,amount\n1,100\n")
    (tmp_path / "b.csv").write_text("Loans of March\nid;amount;paid\n2;200;50\n")
    workbook(tmp_path / "c.xlsx", {"Loans": [["id", "amount"], [3, 300]], "Notes": [["x"]]})

    result = invoke(
        ingest, "mybank", *(str(tmp_path / name) for name in ("a.csv", "b.csv", "c.xlsx")), "--entity", "loans"
    )

    lines = [line for line in result.output.splitlines() if line.startswith("  ")]
    assert lines == [
        "  read as: semicolons, 1 line before the header",
        "  new columns, missing in the rows before: paid",
        "  read as: workbook, sheet Loans",
        "  notice: it has 2 sheets, Loans, Notes: Loans is read; declare another `sheet` in the lender's file",
    ]


def test_ingest_fails_where_more_lines_are_no_rows_than_a_fifth(home: Settings, loans_file: Path) -> None:
    result = invoke(ingest, "mybank", str(loans_file), "--entity", "loans")

    assert "mybank loans: loans.csv: loaded, 2 rows, 1 line rejected" in result.output
    assert "more than 20 % of the lines of loans.csv are not rows: is a separator or a quote wrong?" in result.output
    assert result.exit_code == 1


def test_ingest_of_the_same_file_again_says_so(home: Settings, loans_file: Path) -> None:
    invoke(ingest, "mybank", str(loans_file), "--entity", "loans")

    result = invoke(ingest, "mybank", str(loans_file), "--entity", "loans")

    assert "loans.csv: already loaded, 2 rows" in result.output
    assert result.exit_code == 0


def test_ingest_without_files_is_a_usage_error(home: Settings) -> None:
    result = invoke(ingest, "lending_club")

    assert result.exit_code == 2
    assert "name at least one file of lending_club" in result.output


def test_ingest_of_a_small_simulated_lender(home: Settings) -> None:
    result = invoke(ingest, "simulated", "--applications", "50", "--months", "6", "--seed", "1")

    assert "simulated applications: " in result.output
    assert result.exit_code == 0


def test_simulation_options_do_not_go_with_files(home: Settings, loans_file: Path) -> None:
    """A seed given beside a file would silently change nothing."""
    result = invoke(ingest, "mybank", str(loans_file), "--entity", "loans", "--seed", "3")

    assert result.exit_code == 2
    assert "--seed" in result.output


def test_a_file_that_cannot_be_used_raises_the_users_error(home: Settings, tmp_path: Path) -> None:
    result = invoke(ingest, "lending_club", str(tmp_path / "nonesuch.csv"))

    assert isinstance(result.exception, SourceFileError)


def test_sql_answers_as_json(home: Settings, loans_file: Path) -> None:
    invoke(ingest, "mybank", str(loans_file), "--entity", "loans")

    result = invoke(sql, "select id, amount, _line from raw.mybank_loans order by _line", "--format", "json")

    assert json.loads(result.output) == [
        {"id": "1", "amount": "100", "_line": 2},
        {"id": "2", "amount": "200", "_line": 3},
    ]


def test_sql_takes_statements_from_a_pipe(home: Settings, loans_file: Path) -> None:
    invoke(ingest, "mybank", str(loans_file), "--entity", "loans")

    result = invoke(sql, "--format", "csv", piped="select count(*) as n\nfrom raw.mybank_loans;\n")

    assert result.output == "n\n2\n"


def test_an_error_of_the_command_is_one_message_and_exit_code_one(home: Settings) -> None:
    """Scripts trust the exit code; people read the message: no traceback."""
    done = subprocess.run(
        [sys.executable, "-c", "from warehouse.cli import main; main()", "sql", "select 1"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("loanlake: no lake at ")
    assert "Traceback" not in done.stderr


def test_importing_the_commands_imports_no_database() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, warehouse.commands; print({'duckdb', 'numpy', 'pyarrow'} & set(sys.modules))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "set()"
