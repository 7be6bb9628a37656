"""Prepared documents: what a page shows of a lender, as one small JSON file in the home."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeVar

import msgspec

from ml.figures.shapes import Figure
from warehouse.errors import MonitoringError
from warehouse.files.replacing import replace_file
from warehouse.settings import Settings
from warehouse.team import push

PageName = Literal["models", "monitoring", "portfolio"]
_Kept = TypeVar("_Kept")


class Section(msgspec.Struct, frozen=True):
    """A heading with its figures; ``name``: unique on a page."""

    name: str
    heading: str
    figures: Sequence[Figure]
    text: str = ""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A page of one lender.

    ``summary``: one sentence, for the index. ``snapshot``: the lake's snapshot that its tables were read at. ``until``:
    the newest month of applications, as YYYY-MM; None without any. ``version``: of the model in service,
    which its figures are about; None without one. ``prepared_at`` in UTC.
    """

    source: str
    summary: str
    sections: Sequence[Section]
    prepared_at: datetime
    snapshot: int
    until: str | None = None
    version: int | None = None


def keep(settings: Settings, source: str, name: str, document: object) -> int:
    """Replace a lender's prepared document; returns its size in bytes."""
    content = msgspec.json.encode(document)
    replace_file(settings.page(source, name), content)
    push(settings, settings.page(source, name))
    return len(content)


def read_kept(settings: Settings, source: str, name: str, kind: type[_Kept]) -> _Kept | None:
    """A lender's prepared document, or None if none was prepared; raises MonitoringError for an invalid file."""
    path = settings.page(source, name)
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise MonitoringError(
            f"{path} must hold the prepared page of {source}: {error}; materialise monitoring/pages of {source} again"
        ) from error
