"""dbt as its command runs it, in a process of its own that is forked from one which has imported dbt.

To import it takes 3 s of processor time, more than most commands of a test take after that.
"""

import contextlib
import multiprocessing
import os
import tempfile
from collections.abc import Mapping
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, NamedTuple

from tests.one_thread import use_one_thread
from warehouse.settings import DBT_PROJECT_DIR, REPOSITORY

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(
    ["dbt.cli.main", "dbt.adapters.duckdb", "dbt.task.build", "warehouse.dbt_plugin", "tests.dbt_runs"]
)


class Done(NamedTuple):
    """The exit code of a command, and what it printed to both streams, in its order."""

    returncode: int
    stdout: str


class Running:
    """A dbt command that has begun; :meth:`done` waits for its end."""

    def __init__(
        self,
        *arguments: str | Path,
        target: Path,
        logs: Path,
        project: Path = DBT_PROJECT_DIR,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Begin it in the directory ``project``, with artefacts in ``target``; ``variables`` of its environment."""
        own = {"DBT_TARGET_PATH": str(target), "DBT_LOG_PATH": str(logs), "DO_NOT_TRACK": "1", **(variables or {})}
        descriptor, name = tempfile.mkstemp(prefix="dbt-printed-")
        os.close(descriptor)
        self._printed = Path(name)
        given = ["--no-use-colors", *map(str, arguments)]
        with contextlib.chdir(REPOSITORY):  # where a first process finds what it imports, whatever a test's directory
            forkserver.ensure_running()
        self._process = _forking.Process(target=_run, args=(given, project, self._printed, {**os.environ, **own}))
        self._process.start()

    def done(self) -> Done:
        self._process.join()
        assert self._process.exitcode is not None
        printed = self._printed.read_text()
        self._printed.unlink()
        return Done(self._process.exitcode, printed)


def dbt(*arguments: str | Path, **options: Any) -> Done:
    """Run a command to its end, with the options of :class:`Running`."""
    return Running(*arguments, **options).done()


def _run(arguments: list[str], project: Path, printed: Path, environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(project)
    descriptor = os.open(printed, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    use_one_thread()
    from dbt.cli.main import cli

    cli(arguments, prog_name="dbt")  # raises SystemExit with the command's code
