"""Declaration of a source: a lender's name, the tables that its files fill, and the columns of each file."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

#: Written by ingest beside a file's own text columns.
PROVENANCE_COLUMNS = {"_file": "varchar", "_line": "bigint", "_loaded_at": "timestamp"}


@dataclass(frozen=True)
class Source:
    """A lender with known files.

    ``entities``: entity → raw column names in table order; one entity is one kind of file and one raw table. ``notes``:
    prefixes of lines about the file itself (a preamble, a footer), kept only in ``raw.rejected_lines``.
    """

    name: str
    title: str
    entities: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = field(default=())


def is_name(text: str) -> bool:
    """Whether a source or entity may have this name, which becomes part of a table's name.

    >>> is_name("my_bank"), is_name("My Bank"), is_name("1bank")
    (True, False, False)
    """
    return re.fullmatch(r"[a-z][a-z0-9_]*", text) is not None


def raw_table(source: str, entity: str) -> str:
    """The raw table of a kind of file.

    >>> raw_table("lending_club", "loans")
    'raw.lending_club_loans'
    """
    return f"raw.{source}_{entity}"


def column_name(header: str) -> str:
    """A header field as a raw column: lower case, with ``_`` for each run of characters that are not letters or digits.

    Removes accents of Latin letters; keeps letters of other scripts. Empty if there is no letter or digit.

    >>> column_name(" default.payment.next.month"), column_name("PAY_0"), column_name("% of limit")
    ('default_payment_next_month', 'pay_0', 'of_limit')
    >>> column_name("Größe"), column_name("Salário"), column_name("金額"), column_name("%")
    ('grosse', 'salario', '金額', '')
    """
    if header.isascii():
        return re.sub(r"[^a-z0-9]+", "_", header.lower()).strip("_")
    plain = re.sub(r"(?<=[a-z])[\u0300-\u036f]+", "", unicodedata.normalize("NFKD", header.casefold()))
    kept = (
        character if unicodedata.category(character)[0] in "LMN" else "_"
        for character in unicodedata.normalize("NFC", plain)
    )
    return re.sub("_+", "_", "".join(kept)).strip("_")


def create_raw_table(con: "duckdb.DuckDBPyConnection", table: str, columns: Sequence[str]) -> None:
    """Create a raw table: the file's ``columns`` as text, then each row's origin and load time."""
    body = [f'"{column}" varchar' for column in columns]
    body += [f"{column} {data_type}" for column, data_type in PROVENANCE_COLUMNS.items()]
    con.execute(f"create table lake.{table} ({', '.join(body)})")
