"""One JSON object a line on standard error: time, level, event and its fields; never an applicant's data.

During a request, lines have its ``request_id``, and the caller's ``trace_id``.
"""

import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}

#: Fields of the running request for each line.
request_fields: ContextVar[Mapping[str, str]] = ContextVar("request_fields", default={})  # noqa: B039 - never written to


class JsonLines(logging.Formatter):
    """Formats a record and the fields given to it by ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= request_fields.get()
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line, default=str)


class FewLines(logging.Filter):
    """Passes ``most`` lines of one text a minute from uvicorn; the next line counts the others.

    They are about connections that anyone can open without a key, and could fill the disk.
    """

    def __init__(self, *, most: int = 10, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic):
        super().__init__()
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._begun = clock()
        self._counts: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        if not record.name.startswith("uvicorn") or record.exc_info:
            return True
        now = self._clock()
        if now - self._begun >= self._seconds:
            self._begun = now
            self._left_out = Counter({text: n - self._most for text, n in self._counts.items() if n > self._most})
            self._counts.clear()
        text = str(record.msg)
        self._counts[text] += 1
        n_left_out = self._left_out.pop(text, 0)
        if n_left_out:
            record.left_out_before = n_left_out
        return self._counts[text] <= self._most


def configure() -> None:
    """Send the API's and uvicorn's own events to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(FewLines())
    for name, level in (("loanlake", logging.INFO), ("uvicorn", logging.INFO), ("uvicorn.access", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler] if name != "uvicorn.access" else []
        logger.propagate = False
        logger.setLevel(level)
