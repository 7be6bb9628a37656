"""The parts of an .xlsx archive: their limits, cells that hold an error, and a plain workbook of texts."""

import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr, unescape

from warehouse.readers.limits import Limits, require_unpacked

#: Most bytes of a workbook's parts, unpacked: their cells need about as much memory again.
MOST_BYTES = 2 << 30
_CHUNK = 4 << 20
_WORKBOOK, _RELATIONS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
_CELL = re.compile(rb"""<(?:\w+:)?c\s([^>]*?\bt=["']e["'][^>]*)>(.*?)</(?:\w+:)?c>""", re.DOTALL)
_PLACE = re.compile(rb"""\br=["']([A-Z]+)([0-9]+)["']""")
_VALUE = re.compile(rb"<(?:\w+:)?v>([^<]*)</")
_SHEET_XML = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>\n'
)


class PartProblem(Exception):
    """Why an archive cannot be read as a workbook."""


class Cell(NamedTuple):
    """A cell of a row: its place from 0, and its text."""

    place: int
    text: str


def is_workbook(path: Path) -> bool:
    """Whether the file is an archive with the parts of an .xlsx workbook, whatever its name."""
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return False
    try:
        with zipfile.ZipFile(path) as archive:
            return {_WORKBOOK, _RELATIONS} <= set(archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def require_parts(path: Path, limits: Limits | None) -> None:
    """Refuse an archive that is damaged or unpacks to too much; reads every part of the workbook."""
    with _opened(path) as archive:
        declared = sum(part.file_size for part in archive.infolist())
        if limits is not None:
            require_unpacked(path, declared, limits)
        if declared > MOST_BYTES:
            raise PartProblem(
                f"a workbook may unpack to {MOST_BYTES:,} bytes, because a sheet is held in memory: found "
                f"{declared:,}; save the sheet as CSV UTF-8 or Parquet"
            )
        for part in archive.infolist():
            if part.filename.endswith((".xml", ".rels")):
                # to its end: a part that holds more than it declares has another checksum
                for _ in _chunks(archive, part.filename):
                    pass


def error_cells(path: Path, sheet: str) -> Mapping[int, Sequence[Cell]]:
    """Rows, from 1, with the cells of a formula that failed (#DIV/0!), which calamine gives as empty ones."""
    found: dict[int, list[Cell]] = {}
    with _opened(path) as archive:
        rest = b""
        for chunk in _chunks(archive, _part_of(archive, sheet)):
            text = rest + chunk
            if b't="e"' in text or b"t='e'" in text:
                for cell in _CELL.finditer(text):
                    place, value = _PLACE.search(cell[1]), _VALUE.search(cell[2])
                    if place is None:
                        raise PartProblem("a formula of it has failed, in a cell without a place: correct it")
                    error = unescape(value[1].decode()) if value else "#ERROR!"
                    found.setdefault(int(place[2]), []).append(Cell(_column(place[1]), error))
            # what may be the beginning of a cell
            rest = text[max(text.rfind(b"</c>") + 4, text.rfind(b":c>") + 3, 0) :]
    return {row: tuple(dict.fromkeys(cells)) for row, cells in found.items()}


def write_workbook(path: Path, sheet: str, rows: Iterable[tuple[int, Sequence[str | None]]]) -> None:
    """Write a workbook of one sheet, with the numbered ``rows`` as text."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="rId1" Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        _WORKBOOK: f'<workbook xmlns="{main}" xmlns:r="{relations}"><sheets>'
        f'<sheet name={quoteattr(sheet)} sheetId="1" r:id="rId1"/></sheets></workbook>',
        _RELATIONS: f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="rId1" Type="{relations}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(zipfile.ZipInfo(name), text)
        with archive.open(zipfile.ZipInfo("xl/worksheets/sheet1.xml"), "w", force_zip64=True) as part:
            part.write(_SHEET_XML.encode())
            for number, row in rows:
                part.write(_row_xml(number, row).encode())
            part.write(b"</sheetData></worksheet>")


def _row_xml(number: int, row: Sequence[str | None]) -> str:
    cells = (
        f'<c r="{_letters(place)}{number}" t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'
        for place, text in enumerate(row)
        if text is not None
    )
    return f'<row r="{number}">{"".join(cells)}</row>\n'


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise PartProblem(f"its archive is damaged ({error}): fetch it again") from None


def _chunks(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    try:
        with archive.open(part) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise PartProblem(f"its archive is damaged ({error}): fetch it again") from None


def _part_of(archive: zipfile.ZipFile, sheet: str) -> str:
    """The archive's part with a sheet's cells."""
    try:
        workbook = ET.fromstring(archive.read(_WORKBOOK))  # noqa: S314 - expat refuses entities that grow
        relations = ET.fromstring(archive.read(_RELATIONS))  # noqa: S314 - as above
    except ET.ParseError as error:
        raise PartProblem(f"its list of sheets is damaged ({error})") from None
    targets = {relation.get("Id"): relation.get("Target", "") for relation in relations}
    for element in workbook.iter():
        if element.tag.endswith("}sheet") and element.get("name") == sheet:
            number = next((value for key, value in element.items() if key.endswith("}id")), None)
            target = targets.get(number, "")
            return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
    raise PartProblem(f"its sheet {sheet!r} has no part")


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.decode():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _letters(place: int) -> str:
    """The name of a column.

    >>> _letters(0), _letters(25), _letters(26), _letters(701)
    ('A', 'Z', 'AA', 'ZZ')
    """
    letters = ""
    while place >= 0:
        place, letter = divmod(place, 26)
        letters, place = chr(ord("A") + letter) + letters, place - 1
    return letters
