"""What programs write is for the home's owner alone, whatever the umask they are started with."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bytes_of_home import open_to_others
from warehouse.errors import SettingError
from warehouse.files.private_files import keep_private
from warehouse.settings import Settings

PEOPLE = "id,income\n1,50000\n2,60000\n"


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """As in most shells: files are readable by every user of the machine."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def loanlake(*arguments: str, home: Settings) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("loanlake")), *arguments],
        env={**os.environ, "LOANLAKE_HOME": str(home.home)},
        capture_output=True,
        text=True,
        check=True,
    )


def test_commands_write_nothing_that_others_can_read(home: Settings, tmp_path: Path) -> None:
    """Applicants' inputs were readable by every user of the machine: catalog, landing files, decision log."""
    (tmp_path / "people.csv").write_text(PEOPLE)

    loanlake("ingest", "bank", str(tmp_path / "people.csv"), "--entity", "people", home=home)
    loanlake("key", "create", "branch", home=home)

    assert (home.lake_catalog.exists(), home.keys.exists(), any(home.landing.rglob("*.csv"))) == (True, True, True)
    assert open_to_others(home.home) == []


def test_a_home_that_others_can_open_is_closed_and_said_to_have_been_open(home: Settings) -> None:
    home.home.mkdir(mode=0o755)

    said = loanlake("key", "create", "branch", home=home).stderr

    assert "was open to other users (mode 755)" in said
    assert stat.S_IMODE(home.home.stat().st_mode) == 0o700


def test_a_closed_home_is_not_talked_about(home: Settings, caplog: pytest.LogCaptureFixture) -> None:
    home.home.mkdir(mode=0o700)

    keep_private(home)

    assert caplog.text == ""


def test_a_home_of_somebody_else_is_warned_about(
    home: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.home.mkdir(mode=0o755)

    def refuse(path: Path, mode: int) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "chmod", refuse)
    keep_private(home)

    assert "only its owner can change that: chmod 700" in caplog.text


@pytest.mark.parametrize("shared", ["/", "/tmp", "~"])
def test_a_directory_that_others_need_is_not_closed(shared: str) -> None:
    """As root, closing /tmp would stop the machine's other programs."""
    settings = Settings.from_environment({"LOANLAKE_HOME": shared})
    before = settings.home.stat().st_mode

    with pytest.raises(SettingError, match="must be a directory of its own"):
        keep_private(settings)

    assert settings.home.stat().st_mode == before
