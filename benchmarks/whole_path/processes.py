"""Elapsed seconds and processor time of a command and all that it started."""

import os
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Took:
    """``processor_seconds``: user and system time of the command and what it started, all ended."""

    seconds: float
    processor_seconds: float
    output: str


def timed(command: Sequence[str], environment: Mapping[str, str], *, given: str = "", log: Path | None = None) -> Took:
    """Run a command to its end, with ``given`` on its standard input.

    ``log``: where it writes instead of its output. Raises RuntimeError with its last lines if it fails.
    """
    before, started = _of_children(), time.perf_counter()
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    seconds, processor_seconds = time.perf_counter() - started, _of_children() - before
    output = log.read_text(errors="replace") if log is not None and log.exists() else done.stdout
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{output[-3000:]}")
    return Took(seconds, processor_seconds, output)


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
