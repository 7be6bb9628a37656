"""Commands that run in forks of a process which has dbt imported; here a stand-in for dbt, which imports in no time."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestration.dbt_process import DBT_COMMAND
from orchestration.dbt_process.command import SOCKET, run_ready

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a ready process")
#: Serves with a dbt whose command is a line of Python; ``n_commands`` tells whether two share a process.
_SERVE = """
import os, sys, types, socket
from orchestration.dbt_process import ready

dbt = types.ModuleType("dbt.cli.main")
dbt.n_commands = 0

def cli(prog_name):
    assert prog_name == "dbt"
    dbt.n_commands += 1
    exec(sys.argv[1], {"n_commands": dbt.n_commands})

dbt.cli = cli
sys.modules["dbt.cli.main"] = dbt
ready._IMPORTED = ()
ready.serve(socket.socket(fileno=int(sys.argv[1])))
"""


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of a ready process, and the process."""
    address = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", _SERVE, str(listener.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
    yield address, process
    process.kill()
    process.communicate()


@pytest.fixture
def command(serving: tuple[str, subprocess.Popen[bytes]]) -> Callable[..., subprocess.Popen[str]]:
    """Start a command in dbt's place; ``at`` is its directory."""

    def start(python: str, at: Path = Path("/"), **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*DBT_COMMAND, textwrap.dedent(python)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=at,
            env={**os.environ, SOCKET: serving[0], **environment},
        )

    return start


def test_a_command_has_its_own_output_directory_environment_and_exit_code(
    command: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    asked = command(
        "import os, sys; print(os.getcwd(), os.environ['LENDER'], sys.argv[0]); sys.exit(3)", tmp_path, LENDER="bank"
    )

    output, _ = asked.communicate(timeout=60)

    assert (output, asked.returncode) == (f"{tmp_path} bank dbt\n", 3)


def test_nothing_of_one_command_is_left_for_the_next(command: Callable[..., subprocess.Popen[str]]) -> None:
    """dbt in one process keeps its connection, and with it the lake as it was."""
    outputs = [command("print(n_commands)").communicate(timeout=60)[0] for _ in range(2)]

    assert outputs == ["1\n", "1\n"]


def test_a_command_has_ended_what_it_does_at_exit_when_its_output_ends(
    command: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """dbt gives the writer's lease back at exit: the step that follows must not find it taken."""
    asked = command(f"import atexit, pathlib; atexit.register(pathlib.Path({str(tmp_path / 'lease')!r}).touch)")

    asked.communicate(timeout=60)

    assert (tmp_path / "lease").exists()


def test_what_a_command_writes_has_the_callers_rights(
    command: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """The ready process may have been started by another one."""
    for mask in (0o077, 0o022):
        before = os.umask(mask)
        try:
            asked = command(f"import sys; open({str(tmp_path / oct(mask))!r}, 'x').close(); sys.exit(0)")
        finally:
            os.umask(before)
        assert asked.wait(timeout=60) == 0

    assert [(tmp_path / oct(mask)).stat().st_mode & 0o777 for mask in (0o077, 0o022)] == [0o600, 0o644]


def test_an_interrupt_reaches_the_command(command: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    asked = command(
        f"""
        import pathlib, sys, time
        try:
            pathlib.Path({str(tmp_path / "begun")!r}).touch()
            time.sleep(60)
        except KeyboardInterrupt:
            sys.exit(5)
        """
    )
    while not (tmp_path / "begun").exists():
        time.sleep(0.02)

    asked.send_signal(signal.SIGINT)

    assert asked.wait(timeout=30) == 5


def test_a_command_that_was_killed_has_failed(command: Callable[..., subprocess.Popen[str]]) -> None:
    asked = command("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")

    assert asked.wait(timeout=60) == 1


def test_the_ready_process_ends_with_the_one_that_started_it(serving: tuple[str, subprocess.Popen[bytes]]) -> None:
    _, process = serving

    process.communicate(timeout=60)  # closes its standard input, as the end of its parent does

    assert process.returncode == 0


def test_without_a_ready_process_nothing_begins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command then becomes dbt itself."""
    found = []
    for address in ("", str(tmp_path / "nobody")):
        monkeypatch.setenv(SOCKET, address)
        found.append(run_ready(["build"]))

    assert found == [None, None]


def test_a_ready_process_that_ends_before_the_command_begins_began_nothing(
    monkeypatch: pytest.MonkeyPatch, serving: tuple[str, subprocess.Popen[bytes]]
) -> None:
    address, process = serving
    process.send_signal(signal.SIGSTOP)
    monkeypatch.setenv(SOCKET, address)
    killer = subprocess.Popen(["/bin/sh", "-c", f"sleep 0.3; kill -9 {process.pid}"])

    found = run_ready(["build"])

    assert (found, killer.wait()) == (None, 0)
