"""Workbooks with cells of every kind, written part by part."""

import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from warehouse.readers.workbook_parts import write_workbook

_STYLES = (
    '<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    '<numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd hh:mm:ss"/></numFmts>'
    '<cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/></cellXfs></styleSheet>'
)
HIDDEN = " state='hidden'"
#: A cell: None, a text, a number, a boolean, a day or time, or an error such as ``Failed("#DIV/0!")``.
Cell = object


class Failed(str):
    """The error that a formula's cell shows."""


def workbook(path: Path, sheets: Mapping[str, Sequence[Sequence[Cell]]]) -> Path:
    """Write sheets, name → rows from row 1 on; a name that begins with a dot is a hidden sheet's."""
    write_workbook(path, "Sheet1", [])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    names = "".join(
        f"<sheet name={quoteattr(name)} sheetId='{at}' r:id='rId{at}'{HIDDEN if name[0] == '.' else ''}/>"
        for at, name in enumerate(sheets, start=1)
    )
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace('<sheet name="Sheet1" sheetId="1" r:id="rId1"/>', names)
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    links = [f'<Relationship Id="rId0" Type="{kind}/styles" Target="styles.xml"/>']
    del parts["xl/worksheets/sheet1.xml"]
    for at, rows in enumerate(sheets.values(), start=1):
        links.append(f'<Relationship Id="rId{at}" Type="{kind}/worksheet" Target="worksheets/sheet{at}.xml"/>')
        cells = "".join(_row(row, number) for number, row in enumerate(rows, start=1))
        parts[f"xl/worksheets/sheet{at}.xml"] = (
            '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
            f"<sheetData>{cells}</sheetData></worksheet>"
        )
    relations = parts["xl/_rels/workbook.xml.rels"]
    parts["xl/_rels/workbook.xml.rels"] = relations.split("<Relationship ")[0] + "".join(links) + "</Relationships>"
    parts["xl/styles.xml"] = _STYLES
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


def _row(row: Sequence[Cell], number: int) -> str:
    cells = (_cell(value, f"{chr(ord('A') + place)}{number}") for place, value in enumerate(row))
    return f'<row r="{number}">{"".join(cells)}</row>'


def _cell(value: Cell, place: str) -> str:
    if value is None:
        return ""
    if isinstance(value, Failed):
        return f'<c r="{place}" t="e"><f>1/0</f><v>{value}</v></c>'
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, datetime):
        days = (value - datetime(1899, 12, 30)).total_seconds() / 86_400
        return f'<c r="{place}" s="2"><v>{days!r}</v></c>'
    if isinstance(value, date):
        return f'<c r="{place}" s="1"><v>{(value - date(1899, 12, 30)).days}</v></c>'
    if isinstance(value, int | float):
        return f'<c r="{place}"><v>{value!r}</v></c>'
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(str(value))}</t></is></c>'
