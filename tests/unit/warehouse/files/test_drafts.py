"""What a killed process was writing goes; what a living one writes stays."""

import subprocess
import sys
from pathlib import Path

import pytest

from warehouse.files.drafts import draft_directory, draft_file, remove_abandoned

WRITER = """
import sys
from pathlib import Path
from warehouse.files.drafts import draft_directory, draft_file
path = Path(sys.argv[1])
draft_file(path / "rows.v1.json").write_text("half")
with draft_directory(path / "7") as draft:
    (draft / "part").write_text("half")
    print("begun", flush=True)
    sys.stdin.read()
"""


def _begin(directory: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(directory)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def _kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


def test_only_the_drafts_of_processes_that_are_gone_go(tmp_path: Path) -> None:
    others = [".gitignore", ".7.erasing", ".7.12-34.parquet"]
    for name in others:
        (tmp_path / name).write_text("")
    killed, living = _begin(tmp_path), _begin(tmp_path)
    _kill(killed)

    remove_abandoned(tmp_path)

    left = {path.name for path in tmp_path.iterdir()} - set(others)
    assert len(left) == 2
    assert all(f".{living.pid}-" in name for name in left)
    _kill(living)
    remove_abandoned(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(others)


def test_the_next_directory_takes_away_what_a_killed_process_left(tmp_path: Path) -> None:
    _kill(_begin(tmp_path))
    draft_file(tmp_path / "own").write_text("")

    with draft_directory(tmp_path / "8") as draft:
        (draft / "whole").write_text("")
        draft.rename(tmp_path / "8")

    assert {path.name for path in tmp_path.iterdir()} == {"8", draft_file(tmp_path / "own").name}


def test_a_directory_that_fails_leaves_no_draft(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError), draft_directory(tmp_path / "new" / "8") as draft:
        draft.mkdir()

    assert list((tmp_path / "new").iterdir()) == []
