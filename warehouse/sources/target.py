"""The target of a file: its raw table and columns, or why it does not fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import duckdb

from warehouse.errors import SourceFileError
from warehouse.lake.comments import write_comments
from warehouse.lake.tables import program_tables
from warehouse.raw import PROVENANCE_COLUMNS, SOURCES, create_raw_table, is_name, raw_columns, raw_table
from warehouse.sql.quoting import identifier

_NOT_FOR_FILES = {*program_tables(), *raw_columns(), "raw.quarantine"}
_SHOWN_COLUMNS = 20


@dataclass(frozen=True)
class Target:
    """A source's entity; ``columns``: None for a lender of your own, whose first file defines them."""

    source: str
    entity: str
    columns: tuple[str, ...] | None
    notes: tuple[str, ...] = ()

    @property
    def table(self) -> str:
        """The raw table, with schema."""
        return raw_table(self.source, self.entity)


def target_of(source: str, entity: str | None) -> Target:
    """The target for files; ``entity`` may be None if the source has only one. Raises SourceFileError for bad names."""
    for what, name in (("source", source), ("entity", entity)):
        if name is not None and not is_name(name):
            raise SourceFileError(
                f"the name of a {what} must be lower case letters, digits and _, a letter first: found {name!r}"
            )
    if source not in SOURCES:
        return _own_lender(source, entity)
    known = SOURCES[source]
    if entity is None and len(known.entities) == 1:
        entity = next(iter(known.entities))
    if entity is None or entity not in known.entities:
        raise SourceFileError(
            f"a file of {source} must be of one of its entities {', '.join(known.entities)}: found "
            f"{entity or 'none named'}; name it with --entity"
        )
    return Target(source, entity, known.entities[entity], known.notes)


def _own_lender(source: str, entity: str | None) -> Target:
    if entity is None:
        raise SourceFileError(
            f"a file of a lender of your own, {source!r}, needs the kind of file it is, which names its raw table: for "
            "instance --entity loans"
        )
    target = Target(source, entity, None)
    if target.table in _NOT_FOR_FILES:
        raise SourceFileError(f"{target.table} is a table of Loanlake's own: choose another entity name")
    return target


def columns_to_load(target: Target, name: str, found: Sequence[str]) -> tuple[str, ...]:
    """The columns to load, in table order, without unknown ones; raises SourceFileError naming the missing ones."""
    reserved = sorted(set(PROVENANCE_COLUMNS).intersection(found))
    if reserved:
        raise SourceFileError(f"{name} must not have columns named {', '.join(reserved)}: Loanlake adds them")
    if target.columns is None:
        return tuple(found)
    missing = [column for column in target.columns if column not in found]
    if missing:
        raise SourceFileError(
            f"{name} is not a file of {target.source} {target.entity}: {len(missing)} of {len(target.columns)} columns "
            f"are missing: {_listed(missing)}; expected {_listed(target.columns)}; found {len(found)}: "
            f"{_listed(found)}; nothing of it was loaded"
        )
    return target.columns


def require_table(
    con: duckdb.DuckDBPyConnection, target: Target, columns: Sequence[str], *, keeps_new: bool
) -> tuple[str, ...]:
    """Create a new lender's table from its first file, whose columns later files must have too.

    Returns the columns of a later file that are new; if they are kept, the table gets them.
    """
    known = table_columns(con, target)
    if not known.first:
        create_raw_table(con, target.table, columns)
        write_comments(con)
        return ()
    missing = [column for column in known.first if column not in columns]
    if missing:
        raise SourceFileError(
            f"a file of {target.source} {target.entity} must have the columns of the first one loaded, "
            f"{_listed(known.first)}: missing {_listed(missing)}; nothing of it was loaded. Load a file of another "
            "layout as another --entity"
        )
    new = tuple(column for column in columns if column not in (*known.first, *known.later))
    if keeps_new:
        add_columns(con, target, new)
    return new


class TableColumns(NamedTuple):
    """A raw table's columns. ``first``: of its first file; ``later``: those that a later file brought."""

    first: tuple[str, ...]
    later: tuple[str, ...]


def table_columns(con: duckdb.DuckDBPyConnection, target: Target) -> TableColumns:
    """The columns of a raw table; none if there is no table. The first file's stand before the rows' origin."""
    rows = con.execute(
        "select column_name from information_schema.columns "
        "where table_catalog = 'lake' and table_schema || '.' || table_name = ? order by ordinal_position",
        [target.table],
    ).fetchall()
    names = [name for (name,) in rows]
    n_first = names.index(next(iter(PROVENANCE_COLUMNS))) if names else 0
    return TableColumns(
        tuple(names[:n_first]), tuple(name for name in names[n_first:] if name not in PROVENANCE_COLUMNS)
    )


def add_columns(con: duckdb.DuckDBPyConnection, target: Target, columns: Sequence[str]) -> None:
    """Add columns of a later file; they are null in the rows before."""
    for column in columns:
        con.execute(f"alter table {target.table} add column {identifier(column)} varchar")


def _listed(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - _SHOWN_COLUMNS} more" if len(columns) > _SHOWN_COLUMNS else ""
    return ", ".join(columns[:_SHOWN_COLUMNS]) + more if columns else "none"
