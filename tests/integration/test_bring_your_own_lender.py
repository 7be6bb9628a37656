"""docs/bring-your-own-lender.md, followed: its files are written, its commands run, its answers compared."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from warehouse.lake.connection import writer
from warehouse.settings import DBT_PROJECT_DIR, REPOSITORY, Settings

pytestmark = pytest.mark.slow

#: A loan that still runs, corrected by a caller whose clock runs ahead; one that the file knows to be repaid; one that
#: no file has; another lender's.
REPORTED = """
    select * from (values
        ('r-1', 'mybank', 'mybank-A-4', false, timestamp '2024-02-01', timestamp '2024-02-10'),
        ('r-2', 'mybank', 'mybank-A-4', true, timestamp '2024-02-20 00:04:00', timestamp '2024-02-20'),
        ('r-3', 'mybank', 'mybank-A-1', true, timestamp '2023-05-01', timestamp '2023-05-01'),
        ('r-4', 'mybank', 'mybank-A-9', true, timestamp '2023-05-01', timestamp '2023-05-01'),
        ('r-5', 'simulated', 'mybank-A-4', false, timestamp '2023-05-01', timestamp '2024-03-01')
    ) as reports (outcome_id, source, application_id, is_default, outcome_at, known_at)"""
OUTCOMES = "select application_id, is_default, known_at from core.int_outcomes where source = 'mybank' order by 1"
KNOWN_OUTCOMES = """application_id,is_default,known_at
mybank-A-1,false,2023-12-01 00:00:00
mybank-A-2,true,2022-10-16 00:00:00
mybank-A-3,false,2024-03-02 00:00:00
mybank-A-4,true,2024-02-20 00:04:00
"""
COUNTED = "select source, count(*) as n from core.int_applications group by 1"
PAGE = (REPOSITORY / "docs" / "bring-your-own-lender.md").read_text()
ABSENT = "elsewhere"
BIN = Path(sys.executable).parent


def _files() -> dict[str, str]:
    """A path in backticks on a line of its own, and the block that follows it."""
    return dict(re.findall(r"^`([\w./]+)`\n\n```\w+\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL))


def _questions() -> list[tuple[str, str]]:
    """Each ``loanlake sql`` of the page with the answer printed below it."""
    return re.findall(
        r'^loanlake sql "([^"]+)" --format csv\n```\n\n```text\n(.*?)^```$', PAGE, flags=re.MULTILINE | re.DOTALL
    )


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and key in into:
            _merge(into[key], value)
        else:
            into[key] = value


def _run(*command: str | Path, at: Path) -> str:
    done = subprocess.run(command, cwd=at, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    return done.stdout


def test_the_page_leads_from_a_file_to_training_rows(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    written_by_dbt = shutil.ignore_patterns("target", "logs", "__pycache__", "*.py")
    shutil.copytree(DBT_PROJECT_DIR, copy / "warehouse", ignore=written_by_dbt)
    files = _files()
    # a second lender, whose files are not in this home
    absent = {name.replace("mybank", ABSENT): text.replace("mybank", ABSENT) for name, text in files.items()}
    for name, text in {**files, **absent}.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(text)
    settings_file = copy / "warehouse" / "dbt_project.yml"
    project = yaml.safe_load(settings_file.read_text())
    (settings_block,) = re.findall(r"```yaml\n(vars:.*?)```", PAGE, re.DOTALL)
    _merge(project, yaml.safe_load(settings_block))
    project["vars"]["lenders"][ABSENT] = project["vars"]["lenders"]["mybank"]
    settings_file.write_text(yaml.safe_dump(project, sort_keys=False))
    monkeypatch.setenv("TZ", "Australia/Adelaide")  # half an hour, and summer time: neither may change an answer
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(tmp_path / "logs"))

    command = re.search(r"^loanlake (ingest .*)$", PAGE, flags=re.MULTILINE)
    assert command is not None
    _run(BIN / "loanlake", *shlex.split(command[1]), at=copy)
    with writer("test", home) as con:
        con.execute(f"insert into serving.reported_outcomes by name {REPORTED}")
    build = ("build", "--target", "prod", "--exclude-resource-type", "unit_test")
    built = _run(BIN / "dbt", "--no-use-colors", *build, at=copy / "warehouse")

    assert _run(BIN / "loanlake", "sql", COUNTED, "--format", "csv", at=copy) == "source,n\nmybank,5\n"
    assert re.findall(r"of \d+ WARN \d+ (\w+)", built) == ["not_null_stg_mybank__loans_closed_on"]
    assert _run(BIN / "loanlake", "sql", OUTCOMES, "--format", "csv", at=copy) == KNOWN_OUTCOMES
    assert len(files) == 8
    assert len(_questions()) == 3
    for query, answer in _questions():
        assert _run(BIN / "loanlake", "sql", query, "--format", "csv", at=copy) == answer
