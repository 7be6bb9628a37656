"""``loanlake lender new`` as a person or a script meets it: what is asked, refused, shown and written."""

import shutil
from pathlib import Path

import duckdb
import pytest
import yaml
from click.testing import CliRunner, Result

from warehouse.errors import SettingError, SourceFileError
from warehouse.profiling.commands import new
from warehouse.settings import DBT_PROJECT_DIR, Settings

LOANS = """loan_id,issue_date,amount,term,loan_status
1,03/04/2020,5000,12,0
2,05/06/2020,6000,24,1
"""
COMPLETE = ("--read", "issue_date.pattern=DD/MM/YYYY", "--outcome", "0=repaid", "--outcome", "1=default", "--yes")


@pytest.fixture
def project(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The dbt project's file alone, and a file of loans beside it."""
    folder = tmp_path / "warehouse"
    folder.mkdir()
    shutil.copy(DBT_PROJECT_DIR / "dbt_project.yml", folder)
    (tmp_path / "loans.csv").write_text(LOANS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("warehouse.profiling.commands.DBT_PROJECT_DIR", folder)
    return folder


def _new(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(new, arguments, input=typed, catch_exceptions=True)


def _message(result: Result) -> str:
    assert isinstance(result.exception, SettingError)
    return str(result.exception)


def test_without_a_terminal_every_missing_answer_is_named_with_its_flag(project: Path) -> None:
    message = _message(_new("mybank", "loans.csv", "--yes"))

    assert message.startswith("3 answers are needed:")
    assert "Give --read issue_date.pattern=DD/MM/YYYY|MM/DD/YYYY" in message
    assert "Give --outcome 0=default|repaid|running|unknown" in message
    assert not (project / "macros").exists()


def test_with_every_answer_the_files_are_written_and_shown(project: Path) -> None:
    result = _new("mybank", "loans.csv", *COMPLETE)

    assert result.exit_code == 0, result.output
    assert "  issue_date                   decided_at               date: pattern DD/MM/YYYY" in result.output
    assert "wrote warehouse/lenders/mybank.yml" in result.output
    assert "mybank: [applications, outcomes]" in (project / "dbt_project.yml").read_text()


def test_at_a_terminal_questions_are_asked_and_the_files_confirmed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warehouse.profiling.commands._is_terminal", lambda: True)

    result = _new("mybank", "loans.csv", typed="MM/DD/YYYY\nrepaid\ndefault\ny\n")

    assert result.exit_code == 0, result.output
    assert "issue_date (03/04/2020, " in result.output or "issue_date (03/04/2020)" in result.output
    assert "'pattern': 'MM/DD/YYYY'" in (project / "macros" / "mybank.sql").read_text()


def test_at_a_terminal_nothing_is_written_without_a_yes(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.profiling.commands._is_terminal", lambda: True)

    result = _new("mybank", "loans.csv", *COMPLETE[:-1], typed="n\n")

    assert result.exit_code == 1
    assert not (project / "macros").exists()


def test_at_a_terminal_own_columns_are_chosen_from_those_without_a_meaning(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warehouse.profiling.commands._is_terminal", lambda: True)
    lines = LOANS.splitlines()
    (tmp_path / "loans.csv").write_text(f"{lines[0]},floors\n{lines[1]},2\n{lines[2]},5\n")

    result = _new("mybank", "loans.csv", *COMPLETE[:-1], typed="loans.floors\ny\n")

    assert result.exit_code == 0, result.output
    assert "No contract has loans.floors. Which were known before the decision" in result.output
    assert "note: loans.floors: a model will learn from this." in result.output
    assert "floors" in (project / "macros" / "features" / "features_of_mybank.sql").read_text()


def test_files_that_exist_are_kept_unless_forced(project: Path) -> None:
    _new("mybank", "loans.csv", *COMPLETE)
    edited = project / "lenders" / "mybank.yml"
    own = "# ours\npull_every: hour\n\npolicy: {costs: {}}  # kept\n"
    edited.write_text(f"title: Mine\nlabel: {{outcome_lag_months: 7}}\n{own}")

    message = _message(_new("mybank", "loans.csv", *COMPLETE))

    assert "files of mybank must not exist yet" in message
    assert "outcome_lag_months: 7" in edited.read_text()
    result = _new("mybank", "loans.csv", *COMPLETE, "--force")
    assert "lenders/mybank.yml, with its own pull_every, policy" in result.output
    text = edited.read_text()
    assert yaml.safe_load(text)["label"] == {"outcome_lag_months": 1}
    assert text.startswith("title: Mine\n")
    assert text.endswith(own)


def test_a_file_of_connections_alone_is_no_proposal_that_is_overwritten(project: Path) -> None:
    """It is written first, to pull the rows that are then proposed."""
    file = project / "lenders" / "mybank.yml"
    file.parent.mkdir()
    file.write_text("pull_every: hour\n")

    assert _new("mybank", "loans.csv", *COMPLETE).exit_code == 0
    assert file.read_text().endswith("pull_every: hour\n")


def test_a_forced_proposal_leaves_no_model_that_uses_what_it_replaces(project: Path) -> None:
    """The old model would call a macro that is gone, and no lender's models would compile."""
    _new("mybank", "loans.csv", *COMPLETE)
    before = (project / "macros" / "mybank.sql").read_text()

    message = _message(_new("mybank", "credits=loans.csv", *COMPLETE, "--force"))

    assert "models/staging/mybank/stg_mybank__loans.sql, which would stay" in message
    assert (project / "macros" / "mybank.sql").read_text() == before
    (project / "models" / "staging" / "mybank" / "stg_mybank__loans.sql").unlink()
    assert _new("mybank", "credits=loans.csv", *COMPLETE, "--force").exit_code == 0


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("macros/my.sql", "{% macro mybank_loans() -%}{%- endmacro %}", "macro mybank_loans in "),
        ("models/staging/my/stg_mybank__loans.sql", "select 1", "model stg_mybank__loans in "),
    ],
)
def test_a_name_that_another_file_of_the_project_has_is_refused(
    project: Path, path: str, text: str, found: str
) -> None:
    """dbt would stop for every lender."""
    (project / path).parent.mkdir(parents=True)
    (project / path).write_text(text)

    message = _message(_new("mybank", "loans.csv", *COMPLETE, "--force"))

    assert f"{found}{project / path}; choose another name" in message
    assert not (project / "lenders").exists()


def test_a_raw_table_that_ingest_would_refuse_is_refused_before(project: Path) -> None:
    result = _new("lending", "club_loans=loans.csv", *COMPLETE)

    assert isinstance(result.exception, SourceFileError)
    assert "raw.lending_club_loans is a table of Loanlake's own" in str(result.exception)


@pytest.mark.parametrize("rows", ["", "\n"])
def test_a_file_without_rows_is_refused_as_such(project: Path, tmp_path: Path, rows: str) -> None:
    (tmp_path / "empty.csv").write_text("loan_id,amount,status\n" + rows)

    result = _new("mybank", "loans=empty.csv", "--yes")

    assert isinstance(result.exception, SourceFileError)
    assert "loans has a header and no rows" in str(result.exception)


def test_several_files_of_one_kind_are_profiled_together(project: Path, tmp_path: Path) -> None:
    (tmp_path / "later.csv").write_text("loan_id,issue_date,amount,term,loan_status\n3,13/06/2020,7000,12,0\n")

    result = _new("mybank", "loans=loans.csv", "loans=later.csv", *COMPLETE[2:])

    assert result.exit_code == 0, result.output
    assert "loans: 3 rows of applications and outcomes" in result.output
    assert "date: pattern DD/MM/YYYY" in result.output


def test_how_a_file_is_read_is_found_or_given_and_written_down(project: Path, tmp_path: Path) -> None:
    text = "Bericht\nloan_id;issue_date;amount;term;use;default\n1;13/04/2020;50;12;Möbel;0\n2;05/06/2020;60;24;Bad;1\n"
    (tmp_path / "old.csv").write_bytes(text.encode("cp1252"))

    result = _new("mybank", "loans=old.csv", "--layout", "loans.encoding=cp1252", "--yes")

    assert result.exit_code == 0, result.output
    assert yaml.safe_load((project / "lenders" / "mybank.yml").read_text())["files"] == {
        "loans": {"encoding": "cp1252", "delimiter": ";", "title_lines": 1}
    }


def test_a_parquet_file_is_profiled_like_a_csv(project: Path, tmp_path: Path) -> None:
    duckdb.sql(f"copy (select * from read_csv('loans.csv', all_varchar = true)) to '{tmp_path}/loans.parquet'")

    result = _new("mybank", "loans.parquet", *COMPLETE)

    assert result.exit_code == 0, result.output
    assert "loans: 2 rows of applications and outcomes" in result.output


def test_a_file_that_must_be_declared_names_the_flag(project: Path, tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_bytes("id,use\n1,Möbel\n".encode("cp1252"))

    result = _new("mybank", "loans=old.csv", "--yes")

    assert isinstance(result.exception, SourceFileError)
    assert str(result.exception).endswith("A key is declared as --layout loans.KEY=VALUE")


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("loans.colour=red", "--layout loans has"),
        ("other.encoding=cp1252", "--layout must be of one of the files, loans"),
    ],
)
def test_a_layout_that_no_file_can_have_is_refused(project: Path, layout: str, message: str) -> None:
    assert message in _message(_new("mybank", "loans.csv", "--layout", layout, *COMPLETE))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My Bank", "must be lower case letters, digits and _"),
        ("a_bank_with_a_long_name", "at most 19 characters"),
        ("lending_club", "is a lender that Loanlake brings"),
    ],
)
def test_a_name_that_ids_cannot_begin_with_is_refused(project: Path, name: str, message: str) -> None:
    assert message in _message(_new(name, "loans.csv", *COMPLETE))


def test_an_installed_package_has_no_project_to_edit(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.profiling.commands.IS_CLONE", False)

    assert "run this in a clone of the repository" in _message(_new("mybank", "loans.csv"))


def test_a_file_that_is_not_there_is_named(project: Path) -> None:
    result = _new("mybank", "nonesuch.csv", *COMPLETE)

    assert isinstance(result.exception, SourceFileError)
    assert "nonesuch.csv must be a file: found nothing there" in str(result.exception)


def test_a_flag_without_an_equals_sign_is_a_usage_error(project: Path) -> None:
    result = _new("mybank", "loans.csv", "--column", "decided_at")

    assert result.exit_code == 2
    assert "must be LEFT=RIGHT: found 'decided_at'" in result.output
