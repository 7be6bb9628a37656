"""The process of a run, started before it is known whether there will be one: it imports beside its parent's checks."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from warehouse.settings import REPOSITORY


class RunProcess:
    """``python -m orchestration.running.execution``, which waits for its order on standard input.

    A context: a process that got no order ends with it. This module imports no Dagster, which takes seconds.
    """

    def __enter__(self) -> Self:
        # what it says before it knows where its log is
        self._said = tempfile.TemporaryFile()
        self._is_ordered = False
        self.child = subprocess.Popen(
            [sys.executable, "-m", "orchestration.running.execution"],
            stdin=subprocess.PIPE,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            cwd=REPOSITORY,
            start_new_session=True,  # Ctrl-C reaches only the parent, which passes it on once
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._said.close()
        if not self._is_ordered:
            self.child.kill()
            self.child.communicate()

    def order(self, order: Mapping[str, Any]) -> subprocess.Popen[bytes]:
        """Let it begin; JSON for :func:`orchestration.running.execution.main`."""
        self._is_ordered = True
        if self.child.stdin is not None:
            with suppress(BrokenPipeError):  # it failed to import: its end is noticed by whoever follows it
                self.child.stdin.write(json.dumps(order).encode())
                self.child.stdin.close()
        return self.child

    def keep_last_words(self, log: Path) -> None:
        """Write what it said before its order to ``log``, where it ended without one."""
        if not log.exists():
            self._said.seek(0)
            log.write_bytes(self._said.read())
