"""All data of one borrower in a home, found by their ids: in the lake's current state, the decision log and batches.

Columns identify rows, not a list of tables: ``borrower_id``, ``application_id`` and ``decision_id`` in any table, raw
rows by the lender's declaration (:mod:`warehouse.raw.keys`), and rows with only file and line by those raw rows.
"""

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import duckdb
import msgspec

from warehouse.batches.files import sent_rows
from warehouse.decision_log.entries import KINDS, OUTCOMES, Entries
from warehouse.decision_log.handover import handed_over
from warehouse.decision_log.outbox import connect as connect_to_outbox
from warehouse.errors import NotFoundError
from warehouse.lake.connection import CATALOG
from warehouse.raw.keys import Kind, RawTable, id_in, raw_tables, read_manifest
from warehouse.settings import Settings
from warehouse.sql.quoting import identifier, literal
from warehouse.values.formats import NULL_WORDS

#: Columns that name a person; the last two are not needed to find rows.
_NAMING_COLUMNS = {"borrower_id", "application_id", "decision_id", "answered_decision_id", "outcome_id"}


@dataclass
class Person:
    """A borrower's ids in the whole home. ``sources``: the lenders that know them."""

    borrower_id: str
    application_ids: set[str] = field(default_factory=set)
    decision_ids: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)

    @property
    def ids(self) -> dict[str, set[str]]:
        """Column → values that identify this person."""
        return {
            "borrower_id": {self.borrower_id},
            "application_id": self.application_ids,
            "decision_id": self.decision_ids,
        }

    def learn(self, other: "Person") -> None:
        """Add the ids of another finding of the same person."""
        self.application_ids |= other.application_ids
        self.decision_ids |= other.decision_ids
        self.sources |= other.sources

    @property
    def names(self) -> list[str]:
        """Ids that JSON of their requests holds."""
        return sorted({self.borrower_id, *self.application_ids})

    def conditions(self, columns: Collection[str]) -> list[str]:
        """SQL for each of these columns that holds ids: a row of the person."""
        return [
            f"{column} in ({', '.join(map(literal, sorted(names)))})"
            for column, names in self.ids.items()
            if names and column in columns
        ]

    @property
    def raw_ids(self) -> dict[Kind, set[str]]:
        """The ids that :class:`RawTable` searches."""
        return {"application": self.application_ids, "borrower": {self.borrower_id}}


@dataclass(frozen=True)
class HeldRows:
    """Rows of one table about the person. ``ids``, ``json``: columns of ids, of JSON with ids. ``raw``: declaration."""

    schema: str
    name: str
    condition: str
    ids: frozenset[str] = frozenset()
    json: frozenset[str] = frozenset()
    raw: RawTable | None = None

    @property
    def table(self) -> str:
        """The table's name, ``schema.table``."""
        return f"{self.schema}.{self.name}"

    @property
    def relation(self) -> str:
        """The table, quoted for SQL."""
        return identifier(self.schema, self.name)


class _Line(NamedTuple):
    lender: str
    entity: str
    file: str
    line: int
    loaded_at: datetime


def find_person(settings: Settings, con: duckdb.DuckDBPyConnection, borrower_id: str) -> Person:
    """The person's ids; raises NotFoundError if neither the lake nor the decision log has the borrower."""
    person, columns = Person(borrower_id), _columns(con)
    is_known = False
    for table, names in columns.items():
        if "borrower_id" not in names:
            continue
        kept = [name for name in ("application_id", "decision_id", "source") if name in names]
        found = con.execute(
            f"select distinct {', '.join(kept) or 'true'} from {identifier(*table)} where borrower_id = $1",
            [borrower_id],
        ).fetchall()
        is_known = is_known or bool(found)
        for row in found:
            _remember(person, dict(zip(kept, row, strict=False)))
    for entries, _, entry in _logged(settings):
        if entries is not OUTCOMES and entry.borrower_id == borrower_id:
            is_known = True
            _remember(person, {name: getattr(entry, name) for name in ("application_id", "decision_id", "source")})
    for _, sent in sent_rows(settings):
        if sent.borrower_id == borrower_id:
            is_known = True
            _remember(person, {"application_id": sent.application_id})
    if not is_known:
        raise NotFoundError(
            f"no borrower {borrower_id!r}: no table of the lake, entry of the decision log or batch of {settings.home} "
            "names them; ids are those of core.int_applications, with the lender's prefix"
        )
    return person


def all_borrowers(settings: Settings, con: duckdb.DuckDBPyConnection) -> set[str]:
    """The ids of all borrowers that :func:`find_person` finds."""
    tables = [table for table, names in _columns(con).items() if "borrower_id" in names]
    found = {
        borrower_id
        for table in tables
        for (borrower_id,) in con.execute(f"select distinct borrower_id from {identifier(*table)}").fetchall()
    }
    found |= {entry.borrower_id for entries, _, entry in _logged(settings) if entries is not OUTCOMES}
    found |= {sent.borrower_id for _, sent in sent_rows(settings)}
    return found - {None}


def rows_held(settings: Settings, con: duckdb.DuckDBPyConnection, person: Person) -> Iterator[HeldRows]:
    """The person's rows in the lake's current state, by table; tables without any are left out.

    Adds ids to the person: applications that staging rejected, known only from raw rows, and decisions on their
    applications without a borrower, since tables of features have only the decision's id. Raises ContractError if a
    lender's raw tables do not declare their ids.
    """
    columns = _columns(con)
    lines: set[_Line] = set()
    raw = _raw_tables(settings, columns, person)
    for received in raw:
        person.application_ids |= _applications_in(con, received, person.borrower_id)
    for received in raw:
        found = _lines_of(con, received, person)
        lines |= found
        if found:
            yield HeldRows(*_place(received), received.rows_of(person.raw_ids) or "false", raw=received)
    person.decision_ids |= _decisions_on(con, columns, person)
    received_as = {_place(received) for received in raw}
    others = {table: names for table, names in columns.items() if table not in received_as}
    yield from _rows_of_tables(con, others, person, lines, raw)


def _raw_tables(settings: Settings, columns: Mapping[tuple[str, str], set[str]], person: Person) -> list[RawTable]:
    """The existing raw tables of the person's lenders."""
    # a home without a manifest takes ten seconds to parse the project
    manifest = read_manifest(settings) if person.sources else {}
    declared = [table for source in sorted(person.sources) for table in raw_tables(manifest, source)]
    return [table for table in declared if _place(table) in columns]


def _lines_of(con: duckdb.DuckDBPyConnection, raw: RawTable, person: Person) -> set[_Line]:
    condition = raw.rows_of(person.raw_ids)
    if condition is None:
        return set()
    found = con.execute(f"select _file, _line, _loaded_at from {raw.name} where {condition}").fetchall()
    return {_Line(raw.lender, raw.entity, *row) for row in found}


def _rows_of_tables(
    con: duckdb.DuckDBPyConnection,
    columns: Mapping[tuple[str, str], set[str]],
    person: Person,
    lines: set[_Line],
    raw: list[RawTable],
) -> Iterator[HeldRows]:
    for (schema, name), names in columns.items():
        condition = _condition(name, names, person, lines, raw)
        if condition is None:
            continue
        ids, json = frozenset(_NAMING_COLUMNS & names), frozenset({"inputs"} & names)
        rows = HeldRows(schema, name, condition, ids=ids, json=json)
        if con.execute(f"select count(*) from {rows.relation} where {condition}").fetchall()[0][0]:
            yield rows


def rows_in_copy(
    settings: Settings, con: duckdb.DuckDBPyConnection, copy: duckdb.DuckDBPyConnection, person: Person
) -> Iterator[HeldRows]:
    """The person's rows in a dev lake, which uses production's raw rows: ``con``."""
    raw = _raw_tables(settings, _columns(con), person)
    lines = {line for received in raw for line in _lines_of(con, received, person)}
    yield from _rows_of_tables(copy, _columns(copy), person, lines, raw)


def logged_entries(settings: Settings, person: Person) -> Iterator[tuple[Entries, str, Any]]:
    """The person's entries still in the outbox, each with its kind and id."""
    for entries, entry_id, entry in _logged(settings):
        is_mine = getattr(entry, "borrower_id", None) == person.borrower_id
        if is_mine or entry.application_id in person.application_ids:
            yield entries, entry_id, entry


def _decisions_on(
    con: duckdb.DuckDBPyConnection, columns: Mapping[tuple[str, str], set[str]], person: Person
) -> set[str]:
    applications = ", ".join(map(literal, sorted(person.application_ids))) or "null"
    return {
        decision_id
        for table, names in columns.items()
        if names >= {"application_id", "decision_id"}
        for (decision_id,) in con.execute(
            f"select decision_id from {identifier(*table)} where application_id in ({applications})"
        ).fetchall()
        if decision_id is not None
    }


def _applications_in(con: duckdb.DuckDBPyConnection, raw: RawTable, borrower_id: str) -> set[str]:
    condition = raw.rows_of({"application": (), "borrower": {borrower_id}})
    columns = {column: kinds["application"] for column, kinds in raw.identifies.items() if "application" in kinds}
    if condition is None:
        return set()
    return {
        prefix + text
        for column, prefix in columns.items()
        for (text,) in con.execute(
            f"select distinct {id_in(identifier(column))} from {raw.name} where {condition}"
        ).fetchall()
        if text and text.lower() not in NULL_WORDS  # a missing id does not identify this person
    }


def _place(raw: RawTable) -> tuple[str, str]:
    schema, _, name = raw.name.partition(".")
    return schema, name


def _columns(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], set[str]]:
    """(schema, name) of every table of the lake, without views → its columns."""
    rows = con.execute(
        "select columns.table_schema, columns.table_name, columns.column_name "
        "from information_schema.columns as columns join information_schema.tables as tables "
        "using (table_catalog, table_schema, table_name) "
        f"where columns.table_catalog = {literal(CATALOG)} and tables.table_type = 'BASE TABLE' order by 1, 2"
    ).fetchall()
    found: dict[tuple[str, str], set[str]] = {}
    for schema, name, column in rows:
        found.setdefault((schema, name), set()).add(column)
    return found


def _condition(table: str, names: set[str], person: Person, lines: set[_Line], raw: list[RawTable]) -> str | None:
    conditions = person.conditions(names)
    if not conditions and {"_file", "_line"} <= names:
        conditions = [
            f"(_file = {literal(line.file)} and _line = {line.line}"
            + (f" and _loaded_at = timestamp '{line.loaded_at}')" if "_loaded_at" in names else ")")
            for line in _lines_typed_in(table, names, lines, raw)
        ]
    if not conditions and {"source", "entity", "file", "line"} <= names:
        conditions = [
            f"(source = {literal(line.lender)} and entity = {literal(line.entity)} and file = {literal(line.file)} "
            f"and line = {line.line})"
            for line in sorted(lines)
        ]
    return " or ".join(conditions) or None


def _lines_typed_in(model: str, names: set[str], lines: set[_Line], raw: list[RawTable]) -> list[_Line]:
    """The lines that may be rows of a typed table, which keeps the lender's own names for ids.

    Two kinds of files may share a name: only lines of the raw tables behind the model count. A table without a model
    can contain lines of every kind; it is left out unless load times distinguish its files.
    """
    made_of = {(each.lender, each.entity) for each in raw if model in each.staging_models}
    if not made_of and "_loaded_at" not in names:
        return []
    return [
        line
        for line in sorted(lines)
        if ((line.lender, line.entity) in made_of if made_of else model.startswith(f"stg_{line.lender}__"))
    ]


def _remember(person: Person, row: dict[str, Any]) -> None:
    for column, known in (
        ("application_id", person.application_ids),
        ("decision_id", person.decision_ids),
        ("source", person.sources),
    ):
        if row.get(column):
            known.add(row[column])


def _logged(settings: Settings) -> Iterator[tuple[Entries, str, Any]]:
    if settings.catalog is not None:
        for entries in KINDS:
            if "application_id" in entries.columns:
                decoder = msgspec.msgpack.Decoder(entries.struct)
                yield from (
                    (entries, entry_id, decoder.decode(payload)) for entry_id, payload in handed_over(settings, entries)
                )
    connection: sqlite3.Connection | None = connect_to_outbox(settings)
    if connection is None:
        return
    with closing(connection):
        for entries in KINDS:
            if "application_id" not in entries.columns:
                continue  # about a model, not a person
            decoder = msgspec.msgpack.Decoder(entries.struct)
            for entry_id, payload in connection.execute(f"select id, payload from {entries.table}"):
                yield entries, entry_id, decoder.decode(payload)
