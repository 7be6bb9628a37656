"""A process that has dbt imported and forks for each command: a run's three builds start dbt once, ahead of time.

dbt takes 4 s of processor time to start with nothing to build. The process holds no connection and no lease: each
command runs in a fork of its own, which ends with it, as dbt's own process would. ``command.py`` hands commands
over. Only on Linux: elsewhere a fork of a process that has such libraries loaded may not go on.

``python -m orchestration.dbt_process DESCRIPTOR`` is the process; it ends when its standard input does.
"""

import atexit
import gc
import importlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NoReturn

from orchestration.dbt_process.command import SOCKET

#: What a build imports, some of it only when it comes to it.
_IMPORTED = (
    "dbt.cli.main",
    "dbt.adapters.duckdb",
    "warehouse.dbt_plugin",
)


@cache
def have_dbt_ready() -> None:
    """Start the process, once for this one; returns before it is ready. A command that comes earlier waits for it."""
    if sys.platform != "linux" or SOCKET in os.environ:
        return  # the parent's may be used too
    directory = tempfile.mkdtemp(prefix="loanlake-dbt-")  # only its owner may enter
    address = str(Path(directory) / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        process = subprocess.Popen(  # noqa: S603  # this program again
            [sys.executable, "-u", "-m", "orchestration.dbt_process", str(listener.fileno())],
            stdin=subprocess.PIPE,  # closed when this process ends, however it does
            pass_fds=[listener.fileno()],
            start_new_session=True,  # Ctrl-C reaches dbt once, from its command
        )
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    atexit.register(process.communicate)
    os.environ[SOCKET] = address


def serve(listener: socket.socket) -> None:
    """Import dbt, and fork for each connection until standard input ends."""
    for name in _IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # what is never collected stays shared with the forks
    while True:
        readable, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in readable:
            _collect_ended(seconds=1.0)
            return
        _collect_ended()
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _run(connection)
        connection.close()


def _collect_ended(*, seconds: float = 0.0) -> None:
    """Collect ended forks, whose processor time then counts as this process's; wait so long for others."""
    until = time.monotonic() + seconds
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0] or time.monotonic() < until:
            time.sleep(0.01)


def _run(connection: socket.socket) -> NoReturn:
    """Be dbt: on the output, in the directory and the environment of the command; say its process id and exit code."""
    from dbt.cli.main import cli

    _, outputs, _, _ = socket.recv_fds(connection, 1, 2)
    answers = connection.makefile("rw")
    order = json.loads(answers.readline())
    for output, number in zip(outputs, (1, 2), strict=True):
        os.dup2(output, number)
        os.close(output)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["directory"])
    os.umask(order["umask"])
    sys.argv = ["dbt", *order["arguments"]]
    answers.write(f"{os.getpid()}\n")
    answers.flush()
    code = 1
    try:
        cli(prog_name="dbt")  # not what the ready process was started as
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        answers.write(f"{code}\n")
        answers.flush()
    sys.exit(code)  # and not sooner: the lease is given back at exit
