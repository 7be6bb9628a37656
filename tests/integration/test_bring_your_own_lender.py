"""docs/bring-your-own-lender.md and docs/examples, followed: their commands run, files and answers compared."""

import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from ml.lender_check.commands import check
from tests.dbt_runs import dbt
from warehouse.commands import ingest
from warehouse.features.checks import check_features
from warehouse.features.contract import FeatureContract, compile_contract, unknown_names
from warehouse.lake.connection import connect, writer
from warehouse.lenders.rules import read_lender
from warehouse.people.person import find_person, rows_held
from warehouse.profiling.commands import new
from warehouse.settings import DBT_PROJECT_DIR, REPOSITORY, Settings

pytestmark = pytest.mark.slow

#: A loan that still runs, corrected by a caller whose clock runs ahead, and by another in the same microsecond; one
#: that the file knows to be repaid; one that no file has; another lender's.
REPORTED = """
    select * from (values
        ('r-1', 'mybank', 'mybank-A-4', false, timestamp '2024-02-01', timestamp '2024-02-10'),
        ('r-2', 'mybank', 'mybank-A-4', false, timestamp '2024-02-20 00:04:00', timestamp '2024-02-20'),
        ('r-2-too', 'mybank', 'mybank-A-4', true, timestamp '2024-02-20 00:04:00', timestamp '2024-02-20'),
        ('r-3', 'mybank', 'mybank-A-1', true, timestamp '2023-05-01', timestamp '2023-05-01'),
        ('r-4', 'mybank', 'mybank-A-9', true, timestamp '2023-05-01', timestamp '2023-05-01'),
        ('r-5', 'simulated', 'mybank-A-4', false, timestamp '2023-05-01', timestamp '2024-03-01')
    ) as reports (outcome_id, source, application_id, is_default, outcome_at, known_at)"""
OUTCOMES = "select application_id, is_default, known_at from core.int_outcomes where source = 'mybank' order by 1"
KNOWN_OUTCOMES = """application_id,is_default,known_at
mybank-A-1,false,2023-12-01 00:00:00
mybank-A-2,true,2022-10-16 00:00:00
mybank-A-3,false,2024-03-02 00:00:00
mybank-A-4,true,2024-02-20 00:04:00.000001
"""
COUNTED = "select source, count(*) as n from core.int_applications group by 1 order by 1"
ABSENT = "elsewhere"
BIN = Path(sys.executable).parent
DOCS = REPOSITORY / "docs"
GUIDE = (DOCS / "bring-your-own-lender.md").read_text()
EXAMPLES = ("several-files", "outcome-without-a-date", "undated", "own-columns")
#: Files that a page shows below this heading are what a person makes of those that the command wrote.
EDITED = "\n## 2. Make features of them\n"


def _page(example: str) -> str:
    return (DOCS / "examples" / f"{example}.md").read_text()


def _files(page: str) -> list[tuple[str, str]]:
    """A path in backticks on a line of its own, and the block that follows it."""
    return re.findall(r"^`([\w./]+)`\n\n```\w+\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)


def _first(page: str) -> dict[str, str]:
    """Each file as it is first shown: as the command writes it."""
    return dict(reversed(_files(page.partition(EDITED)[0])))


def _answers(page: str, command: str) -> list[tuple[str, str]]:
    """Each command of the page that begins so, with the answer printed below it."""
    found = re.findall(r"^```sh\n(loanlake [^\n]+)\n```\n\n```text\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    return [(line, answer) for line, answer in found if line.startswith(command)]


def _commands(page: str, command: str) -> list[list[str]]:
    found = re.findall(rf"^{command} (.*)$", page.replace("\\\n", ""), flags=re.MULTILINE)
    return [shlex.split(line) for line in found]


def _run(*command: str | Path, at: Path) -> str:
    done = subprocess.run(command, cwd=at, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    return done.stdout


def _dbt(copy: Path, *arguments: str) -> str:
    """Run dbt on the copy of the project; what it said."""
    project, target = copy / "warehouse", copy.parent / "target"
    done = dbt(*arguments, "--target", "prod", target=target, logs=copy.parent / "logs", project=project)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@dataclass(frozen=True)
class Built:
    """A copy of the project with the lenders of all pages, built. ``printed``: page → what ``lender new`` printed."""

    copy: Path
    printed: dict[str, str]
    written: dict[str, str]
    log: str


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("lenders")
    copy = folder / "copy"
    written_by_dbt = shutil.ignore_patterns("target", "logs", "__pycache__", "*.py")
    shutil.copytree(DBT_PROJECT_DIR, copy / "warehouse", ignore=written_by_dbt)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOANLAKE_HOME", str(folder / "home"))
        patch.setenv("TZ", "Australia/Adelaide")  # half an hour, and summer time: neither may change an answer
        patch.setenv("DBT_TARGET_PATH", str(folder / "target"))
        patch.setattr("warehouse.profiling.commands.DBT_PROJECT_DIR", copy / "warehouse")
        patch.setattr("warehouse.lenders.rules.DIRECTORY", copy / "warehouse" / "lenders")
        patch.setattr("ml.lender_check.evidence.DBT_PROJECT_DIR", copy / "warehouse")
        patch.chdir(copy)
        (copy / "loans.csv").write_text(_first(GUIDE)["loans.csv"])
        write = runpy.run_path(str(DOCS / "examples" / "make_files.py"))["EXAMPLES"]
        for example in EXAMPLES:
            write[example](copy / "files" / example)
        printed = {"guide": _declare(GUIDE), **{example: _declare(_page(example)) for example in EXAMPLES}}
        shown = {name for page in (GUIDE, *map(_page, EXAMPLES)) for name in _first(page)}
        written = {name: (copy / name).read_text() for name in shown}
        _edit(copy)
        for page in (GUIDE, *map(_page, EXAMPLES)):
            for arguments in _commands(page, "loanlake ingest"):
                done = CliRunner().invoke(ingest, arguments, catch_exceptions=False)
                assert done.exit_code == 0, done.output
        with writer("test", Settings.from_environment()) as con:
            con.execute(f"insert into serving.reported_outcomes by name {REPORTED}")
        # of portfolio and monitoring, pages read alerts
        layers = ("lenders", "staging", "core", "features", "training", "+alerts")
        of_these = ("--exclude-resource-type", "unit_test", "--indirect-selection", "buildable", "--select", *layers)
        log = _dbt(copy, "build", *of_these)
        yield Built(copy, printed, written, log)


def _declare(page: str) -> str:
    (arguments,) = _commands(page, "loanlake lender new")
    done = CliRunner().invoke(new, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def _edit(copy: Path) -> None:
    """The pages' later edits, and a second lender, whose files are not in this home."""
    for page in (GUIDE, *map(_page, EXAMPLES)):
        for name, text in _files(page):
            (copy / name).write_text(text)
    lender_files = [name for name in _first(GUIDE) if name.startswith("warehouse")]
    for name in lender_files:
        absent = copy / name.replace("mybank", ABSENT)
        absent.parent.mkdir(parents=True, exist_ok=True)
        absent.write_text((copy / name).read_text().replace("mybank", ABSENT))
    project = copy / "warehouse" / "dbt_project.yml"
    line = "    mybank: [applications, outcomes]\n"
    project.write_text(project.read_text().replace(line, line + line.replace("mybank", ABSENT)))


def _sql(built: Built, query: str) -> str:
    return _run(BIN / "loanlake", "sql", query, "--format", "csv", at=built.copy)


def test_the_command_writes_the_files_that_the_guide_shows(built: Built) -> None:
    shown = _first(GUIDE)
    assert {name: built.written[name] for name in shown} == shown
    assert len(shown) == 8
    ((_, printed),) = _answers(GUIDE, "loanlake lender new")
    assert built.printed["guide"] == printed


def test_the_project_file_has_the_lines_of_the_guide_and_its_comments(built: Built) -> None:
    text = (built.copy / "warehouse" / "dbt_project.yml").read_text()
    (block,) = re.findall(r"```yaml\n(vars:.*?)```", GUIDE, re.DOTALL)

    lenders = yaml.safe_load(text)["vars"]["lenders"]

    assert lenders.items() >= yaml.safe_load(block)["vars"]["lenders"].items()
    assert set((DBT_PROJECT_DIR / "dbt_project.yml").read_text().splitlines()) <= set(text.splitlines())


def test_the_guide_leads_from_a_file_to_training_rows(built: Built) -> None:
    counted = _sql(built, COUNTED)

    assert "mybank,5\n" in counted
    assert ABSENT not in counted
    assert "not_null_stg_mybank__loans_closed_on" in re.findall(r"of \d+ WARN \d+ (\w+)", built.log)
    assert _sql(built, OUTCOMES) == KNOWN_OUTCOMES
    questions = _answers(GUIDE, "loanlake sql")
    assert len(questions) == 3
    for command, answer in questions:
        assert _run(BIN / "loanlake", *shlex.split(command)[1:], at=built.copy) == answer


def test_the_reports_of_a_lender_whose_staging_reads_them_are_found_with_the_person(built: Built) -> None:
    """Export, erasure and lineage read which raw tables a lender's staging has: the reports are none."""
    settings = Settings.from_environment()
    settings.dbt_target.mkdir(parents=True)
    shutil.copy(built.copy.parent / "target" / "manifest.json", settings.dbt_target)

    with connect(settings) as con:
        person = find_person(settings, con, "mybank-c3")
        held = {rows.table for rows in rows_held(settings, con, person)}

    assert held >= {"raw.mybank_loans", "serving.reported_outcomes", "core.int_outcome_versions"}


@pytest.mark.parametrize("example", ["guide", *EXAMPLES])
def test_a_check_says_what_the_page_shows(built: Built, example: str) -> None:
    page = GUIDE if example == "guide" else _page(example)
    ((command, answer),) = _answers(page, "loanlake lender check")

    done = CliRunner().invoke(check, shlex.split(command)[3:], catch_exceptions=False)

    assert done.output == answer
    assert done.exit_code == int("Would stop a model" in answer)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_lines_that_an_example_shows_are_in_its_files(built: Built, example: str) -> None:
    shown = re.findall(r"^```text\n(.*?)^```$", _page(example), re.MULTILINE | re.DOTALL)[0].split("\n")
    files = "".join(path.read_text() for path in (built.copy / "files" / example).iterdir())

    assert [line for line in shown if line not in files.split("\n")] == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_declared_and_answers_as_its_page_shows(built: Built, example: str) -> None:
    page = _page(example)

    assert [built.printed[example]] == [answer for _, answer in _answers(page, "loanlake lender new")]
    for name, text in _first(page).items():
        assert built.written[name] == text
    for command, answer in _answers(page, "loanlake sql"):
        assert _run(BIN / "loanlake", *shlex.split(command)[1:], at=built.copy) == answer


@pytest.fixture(scope="module")
def contract(built: Built) -> FeatureContract:
    return FeatureContract.from_manifest(built.copy.parent / "target" / "manifest.json", version="v2_ridgeway")


def test_own_columns_and_shared_ones_are_one_contract_that_the_tables_keep(
    built: Built, contract: FeatureContract
) -> None:
    shared = FeatureContract.from_manifest(built.copy.parent / "target" / "manifest.json", version=2)

    with connect(Settings.from_environment()) as con:
        checked = check_features(con, contract)

    own = (
        "property_value",
        "mortgage_due",
        "job",
        "latest_returned_payments",
        "combined_loan_to_value",
        "n_bounced_3m",
    )
    assert contract.feature_names == (*shared.feature_names, *own)
    assert set(contract.input_names) - set(shared.input_names) == {*own} - {"combined_loan_to_value"}
    assert checked.passed, str(checked)
    assert checked.n_rows == 4_000
    assert unknown_names(read_lender("ridgeway"), built.copy.parent / "target" / "manifest.json") == ()


def test_the_compiled_function_gives_the_table_s_values_to_the_bit(contract: FeatureContract) -> None:
    """The request path runs the shared and the own features as one function."""
    compiled = compile_contract(contract)
    inputs, features = (", ".join(names) for names in (contract.input_names, contract.feature_names))
    rows = "from features.{} where hash(application_id) % 20 = 0 order by application_id"
    with connect(Settings.from_environment()) as con:
        given = con.execute(f"select {inputs} {rows.format('ftr_application_inputs_ridgeway')}").fetchall()
        expected = con.execute(f"select {features} {rows.format('ftr_application_v2_ridgeway')}").fetchall()

    computed = [compiled(dict(zip(contract.input_names, row, strict=True))) for row in given]

    assert len(computed) > 100
    assert computed == expected
    assert {row[-1] for row in computed} > {0, 1, 2}


def test_own_history_counts_only_what_was_known_and_is_stored_for_requests() -> None:
    """The statements of the three months before, counted again in other words."""
    with connect(Settings.from_environment()) as con:
        different = con.execute("""
            select inputs.application_id from features.ftr_application_inputs_ridgeway as inputs
            left join lateral (
                select sum(returned_payments) as n from staging.stg_ridgeway__statements as statements
                where statements.borrower_id = inputs.borrower_id and statements.known_at < inputs.decided_at
                    and statements.statement_on >= inputs.decided_at - interval 3 month
            ) as counted on true
            where inputs.n_bounced_3m is distinct from counted.n""").fetchall()
        online = con.execute(
            "select count(*), count(n_bounced_3m) from features.ftr_online_borrowers_ridgeway"
        ).fetchone()

    assert different == []
    assert online is not None
    assert 0 < online[1] <= online[0]


def test_only_audits_know_a_lenders_own_demographics(built: Built) -> None:
    manifest = json.loads((built.copy.parent / "target" / "manifest.json").read_text())
    readers = [
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        and "model.loanlake.int_demographics_ridgeway" in node["depends_on"]["nodes"]
    ]

    assert _sql(built, "select count(household_size) as n from core.int_demographics_ridgeway") == "n\n1735\n"
    assert readers == []


def test_a_changed_own_column_rebuilds_its_own_month_and_nothing_of_others(built: Built) -> None:
    """The last test of this home: a statement before the loan of 2022-11-07 is corrected, in the own column alone."""
    late = built.copy / "late.csv"
    late.write_text("customer_no,statement_on,balance,returned_payments\nP1508,2022-08-31,2238.2,3\n")
    done = CliRunner().invoke(ingest, ["ridgeway", str(late), "--entity", "statements"], catch_exceptions=False)
    assert done.exit_code == 0, done.output

    select = ("--select", "stg_ridgeway__statements_file", "core", "features")
    log = _dbt(built.copy, "run", *select)

    made = dict(re.findall(r"OK created sql \w+ model \w+\.(\w+) \.*\s*\[(.+?) in", log))
    # the version that ends with the load, and the one that begins with it
    assert made["int_statements_ridgeway"] == "2 rows written, 0 deleted"
    assert (made["ftr_application_history_ridgeway"], made["ftr_application_inputs_ridgeway"]) == ("1 months",) * 2
    assert made["ftr_application_v2_ridgeway"] == "1 months"
    shared = ("ftr_application_history", "ftr_application_inputs", "ftr_application_v1", "ftr_application_v2")
    assert {made[name] for name in shared} == {"unchanged"}
