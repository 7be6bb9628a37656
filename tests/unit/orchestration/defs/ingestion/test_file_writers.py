"""Whether a file is being written, as the system says."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.defs.ingestion import file_writers
from orchestration.defs.ingestion.file_writers import has_writer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says it")


def test_a_writer_in_another_process_is_seen_and_a_reader_is_none(tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    path.touch()
    waiting = "import sys; file = open(sys.argv[1], sys.argv[2]); print(flush=True); sys.stdin.read()"

    seen = {}
    for mode in ("a", "r+", "r"):
        command = [sys.executable, "-c", waiting, str(path), mode]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            other.stdout.readline()
            seen[mode] = has_writer(path)
            other.communicate()

    assert seen == {"a": True, "r+": True, "r": False}
    assert has_writer(path) is False


def test_a_network_file_system_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its other machines' writers are not seen, and NFS refuses a lease without any writer."""
    path = tmp_path / "loans.csv"
    path.touch()
    monkeypatch.setattr(file_writers, "_is_remote", lambda _: True)

    assert has_writer(path) is None


def test_what_cannot_be_opened_is_unknown(tmp_path: Path) -> None:
    assert has_writer(tmp_path / "nothing.csv") is None
