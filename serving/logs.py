"""One JSON object a line on standard error: time, level, event and its fields; never what an applicant sent.

A line that is written while a request runs names it: ``request_id``, and ``trace_id`` where its caller sent one.
"""

import json
import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}

#: What each line says of the request that runs.
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


def configure() -> None:
    """Send the API's and uvicorn's own events to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, level in (("loanlake", logging.INFO), ("uvicorn", logging.INFO), ("uvicorn.access", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler] if name != "uvicorn.access" else []
        logger.propagate = False
        logger.setLevel(level)
