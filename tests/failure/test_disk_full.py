"""A full disk: requests that cannot be stored are refused, answered ones are kept, and free space is enough to recover.

Once by a limit on the size of files, which any user may set, and once on a file system that is truly full, which takes
root to mount.
"""

import http.client
import json
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

from tests.failure.callers import calling
from tests.failure.log_audit import assert_each_is_logged_once
from tests.serving_home import APPLICATION, ServingHome, furnish
from tests.serving_process import Server, running
from warehouse.settings import Settings

pytestmark = pytest.mark.extended
Full = Callable[[Server, Path], AbstractContextManager[None]]


@contextmanager
def no_file_may_be_written(server: Server, home: Path) -> Iterator[None]:
    """Every write of the server to any file fails."""
    limits = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in server.workers()}
    for pid, (_, most) in limits.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, most))
    yield
    for pid, limit in limits.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)


@contextmanager
def no_room(server: Server, home: Path) -> Iterator[None]:
    """A file takes all that the file system has left."""
    ballast = home / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):  # no space left
        while True:
            file.write(bytes(4096))
    assert shutil.disk_usage(home).free == 0
    yield
    ballast.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Of 24 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"this user may not mount a file system to fill: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_files_that_cannot_be_written(home: Settings, tmp_path: Path, workers: int) -> None:
    serving_home = furnish(home)
    with running(serving_home, tmp_path / "log", workers=workers) as server:
        _fill_and_make_room(server, serving_home, no_file_may_be_written)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_file_system(small_disk: Path, tmp_path: Path, workers: int) -> None:
    serving_home = furnish(Settings.from_environment({"LOANLAKE_HOME": str(small_disk / "home")}))
    with running(serving_home, tmp_path / "log", workers=workers) as server:
        _fill_and_make_room(server, serving_home, no_room)


def _fill_and_make_room(server: Server, serving_home: ServingHome, full: Full) -> None:
    home = serving_home.settings.home
    workers = server.workers()
    with calling(server.port, serving_home, n_callers=4) as told:
        time.sleep(1.0)
        with full(server, home):
            refusal = _first_refusal(server, serving_home)
            ready = _until_readyz_says(server, 503)
            assert told.refused.wait(timeout=30), "no caller asked while the disk was full"
        _until_readyz_says(server, 200)
        time.sleep(0.5)

    assert refusal["headers"]["retry-after"] == "1"
    assert refusal["headers"]["content-type"] == "application/problem+json"
    assert "could not be stored" in refusal["body"]["detail"]
    assert f"{serving_home.settings.outbox.name} cannot be written: " in ready["reasons"][0]
    assert "rollback" not in ready["reasons"][0]
    assert set(told.statuses) == {200, 503}
    assert told.n_unanswered == 0
    assert server.workers() == workers, "a full disk is no reason to die"
    assert_each_is_logged_once(serving_home.settings, told)


def _first_refusal(server: Server, serving_home: ServingHome) -> dict:
    headers = serving_home.headers | {"Content-Type": "application/json"}
    for _ in range(5_000):
        response, body = _ask(server, "POST", "/v1/scores", headers, json.dumps(APPLICATION))
        if response.status != 200:
            assert response.status == 503
            return {"headers": {name.lower(): value for name, value in response.getheaders()}, "body": body}
    raise AssertionError("nothing was refused on a full disk")


def _until_readyz_says(server: Server, status: int) -> dict:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        response, body = _ask(server, "GET", "/readyz", {}, None)
        if response.status == status:
            return body
        time.sleep(0.05)
    raise AssertionError(f"/readyz does not say {status}: {body}")


def _ask(server: Server, method: str, path: str, headers: dict[str, str], body: str | None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response, json.loads(response.read())
    finally:
        connection.close()
