"""How a lender's files of one kind are read: the keys under ``files`` in its file."""

import codecs
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from warehouse.lenders.keys import Key

Delimiter = Literal[",", ";", "\t", "tab", "|", "^", "~", "blanks"]
MOST_TITLE_LINES = 50


@dataclass(frozen=True)
class FileSettings:
    """How the files of one entity are read; what is None is found in the file, and reported."""

    encoding: Annotated[
        str | None,
        Key("an encoding such as utf-8, utf-16, cp1252, latin-1", "The characters of a text file; UTF-8 unless given."),
    ] = None
    delimiter: Annotated[
        Delimiter | None,
        Key("one of , ; | ^ ~ tab, or blanks", "What separates the fields of a line; found in the file unless given."),
    ] = None
    title_lines: Annotated[
        Annotated[int, Meta(ge=0, le=MOST_TITLE_LINES)] | None,
        Key(
            f"a whole number, 0 to {MOST_TITLE_LINES}",
            "Lines (rows of a sheet) before the header; found in the file unless given.",
        ),
    ] = None
    sheet: Annotated[
        Annotated[str, Meta(pattern=r"\S")] | None,
        Key("the name of a sheet", "The sheet of a workbook; its first visible one unless given."),
    ] = None
    new_columns: Annotated[
        Literal["keep", "ignore"],
        Key("keep or ignore", "What becomes of a column that the first file did not have."),
    ] = "keep"

    def __post_init__(self) -> None:
        if self.encoding is not None and not _is_readable(self.encoding):
            raise ValueError(
                "encoding must be one that Python knows and in which ASCII is ASCII, such as utf-8, utf-16, cp1252, "
                f"latin-1: found {self.encoding!r}"
            )

    @property
    def separator(self) -> str | None:
        """The character between fields; a blank stands for one or more."""
        return {"tab": "\t", "blanks": " "}.get(self.delimiter or "", self.delimiter)


def _is_readable(encoding: str) -> bool:
    plain = bytes(range(0x20, 0x7F))
    try:
        name = codecs.lookup(encoding).name
        return name.startswith(("utf-16", "utf-32")) or plain.decode(encoding) == plain.decode("ascii")
    except (LookupError, ValueError):
        return False
