"""Erase a person from the lake's current state and the landing files, or keep their rows under pseudonyms.

Old snapshots cannot be changed: maintenance expires them. Rows of them that live models read are kept elsewhere,
without the person (:mod:`warehouse.lake.training_rows`). All changes to the lake are one transaction.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import duckdb

from warehouse.errors import SourceFileError
from warehouse.lake.tables import CATALOG, METADATA
from warehouse.lake.training_rows import keepable_rows, kept_snapshots, kept_table, rows_of_snapshot
from warehouse.people.person import HeldRows, Person
from warehouse.people.pseudonyms import Pseudonyms, renamed, renamed_json
from warehouse.raw.keys import id_in
from warehouse.settings import Settings
from warehouse.sources.erasing import RewrittenFile, without_lines
from warehouse.sources.recorded import open_landed
from warehouse.sql.quoting import identifier, literal

#: Columns of program-written tables whose messages or examples may name a person.
FREE_TEXTS = {
    "monitoring.contract_violations": ("examples",),
    "monitoring.feature_skew": ("examples",),
    "monitoring.gate_results": ("found", "message"),
    "monitoring.walk_forward": ("why",),
    "serving.batch_scores": ("problem",),
    "serving.person_requests": ("reason",),
}
ERASED = "erased"
#: Path below the landing directory → line numbers.
LandingLines = dict[str, list[int]]


@dataclass(frozen=True)
class LakeErasure:
    """``names``: pseudonyms; None deletes. ``kept``: training tables at snapshots to keep (:func:`rows_to_keep`)."""

    person: Person
    held: tuple[HeldRows, ...]
    names: Pseudonyms | None
    kept: tuple[tuple[str, int], ...] = ()


def naming_pattern(person: Person) -> str:
    """A regular expression of the person's ids in text, without short numbers, which may mean something else."""
    ids = sorted(name for names in person.ids.values() for name in names if not name.isdecimal() or len(name) > 11)
    return rf"\b(?:{'|'.join(map(re.escape, ids))})\b" if ids else r"a\bb"


def landing_lines(
    settings: Settings, con: duckdb.DuckDBPyConnection, held: Collection[HeldRows], person: Person
) -> LandingLines:
    """Lines of landing files with rows of the person, and rejected lines with the person's id in its field."""
    found: dict[str, set[int]] = {}
    for rows in held:
        if rows.raw is None:
            continue
        folder = f"{rows.raw.lender}/{rows.raw.entity}"
        for file, line in con.execute(f"select _file, _line from {rows.relation} where {rows.condition}").fetchall():
            found.setdefault(f"{folder}/{file}", set()).add(line)
        for (file,) in con.execute(
            "select distinct file from raw.rejected_lines where source = $1 and entity = $2",
            [rows.raw.lender, rows.raw.entity],
        ).fetchall():
            condition = _rejected(settings, con, rows, person, file=file)
            if condition is not None:
                lines = con.execute(f"select line from raw.rejected_lines where {condition}").fetchall()
                found.setdefault(f"{folder}/{file}", set()).update(line for (line,) in lines)
    return {path: sorted(lines) for path, lines in sorted(found.items()) if lines}


def rewrite_landing(
    settings: Settings, con: duckdb.DuckDBPyConnection, lines: LandingLines
) -> dict[str, RewrittenFile]:
    """The landing files without these lines, each written beside its original; missing files are skipped."""
    return {
        name: without_lines(open_landed(con, settings.landing, *name.split("/", 2)), numbers)
        for name, numbers in lines.items()
        if (settings.landing / name).exists()
    }


def erase(
    con: duckdb.DuckDBPyConnection,
    what: LakeErasure,
    *,
    lines: LandingLines,
    rewritten: Mapping[str, RewrittenFile],
    record: Callable[[Mapping[str, int]], None],
) -> dict[str, int]:
    """Change the lake in one transaction and rewrite the files of its newest snapshot; returns rows by table.

    ``con`` is a writer's. ``record`` gets the counts, and records the erasure in the same transaction.
    """
    con.execute("begin")
    for table, snapshot in what.kept:
        _keep_training_rows(con, what, table, snapshot)
    counts = {rows.table: _erase_rows(con, rows, what) for rows in what.held}
    for name, numbers in lines.items():
        source, entity, file = name.split("/", 2)
        con.execute(
            "delete from raw.rejected_lines "
            "where source = $1 and entity = $2 and file = $3 and list_contains($4, line)",
            [source, entity, file, numbers],
        )
    for name, file_written in rewritten.items():
        con.execute(
            "update raw.files set erased_sha256 = $4 where source = $1 and entity = $2 and file = $3",
            [*name.split("/", 2), file_written.sha256],
        )
    _erase_texts(con, naming_pattern(what.person))
    record(counts)
    con.execute("commit")
    # `call`, not `select`, which would commit nothing; threshold 0 removes every deleted row, even one in a large file
    con.execute(f"call ducklake_rewrite_data_files('{CATALOG}', delete_threshold => 0)").fetchall()
    _forget_bounds(con, what.person)
    return counts


def rows_to_keep(
    con: duckdb.DuckDBPyConnection, held: Collection[HeldRows], named: Collection[int]
) -> tuple[tuple[str, int], ...]:
    """Training tables and ``named`` snapshots with a row of the person."""
    kept = kept_snapshots(con)
    holding = [
        snapshot
        for snapshot in sorted(set(named) - kept)
        if any(_has_rows(con, rows.relation, snapshot, rows.condition) for rows in held)
    ]
    tables = keepable_rows(con)
    return tuple((table, snapshot) for snapshot in holding for table in tables if _has_rows(con, table, snapshot))


def _has_rows(con: duckdb.DuckDBPyConnection, table: str, snapshot: int, condition: str = "true") -> bool:
    try:
        return bool(
            con.execute(f"select 1 from {rows_of_snapshot(table, snapshot)} where {condition} limit 1").fetchall()
        )
    except duckdb.Error:  # the table, column or snapshot does not exist
        return False


def _keep_training_rows(con: duckdb.DuckDBPyConnection, what: LakeErasure, table: str, snapshot: int) -> None:
    person, names = what.person, what.names
    if names is None:
        mine = " or ".join(person.conditions(("borrower_id", "application_id")))
        rows = f"select * from {rows_of_snapshot(table, snapshot)} where not ({mine})"
    else:
        ids = {"borrower_id": [person.borrower_id], "application_id": person.application_ids}
        values = ", ".join(f"{renamed(column, found, names.of)} as {column}" for column, found in ids.items())
        rows = f"select * replace ({values}) from {rows_of_snapshot(table, snapshot)}"
    con.execute(f"create table {kept_table(table, snapshot)} as {rows}")


def _erase_rows(con: duckdb.DuckDBPyConnection, rows: HeldRows, what: LakeErasure) -> int:
    values = _new_values(con, rows, what)
    if values:
        changes = ", ".join(f'"{column}" = {value}' for column, value in values.items())
        statement = f"update {rows.relation} set {changes} where {rows.condition}"
    else:
        statement = f"delete from {rows.relation} where {rows.condition}"
    ((n_rows,),) = con.execute(statement).fetchall()
    return int(n_rows)


def _new_values(con: duckdb.DuckDBPyConnection, rows: HeldRows, what: LakeErasure) -> dict[str, str]:
    """Column → SQL; empty if rows must be deleted, as must those that a build recomputes from raw rows."""
    if what.names is None:
        return {}
    if rows.raw is not None:
        return rows.raw.renamed(what.person.raw_ids, what.names.of)
    values = {}
    for column in sorted(rows.ids):
        found = con.execute(f"select distinct {column} from {rows.relation} where {rows.condition}").fetchall()
        names = {name for (name,) in found if name is not None}
        # the id of a decision or report derives from the application's, or its caller knows it
        mine = names & what.person.ids[column] if column in ("application_id", "borrower_id") else names
        if mine:
            values[column] = renamed(column, mine, what.names.of)
    for column in rows.json if values else ():
        values[column] = renamed_json(column, what.person.names, what.names.of)
    return values


def _erase_texts(con: duckdb.DuckDBPyConnection, pattern: str) -> None:
    for table, columns in FREE_TEXTS.items():
        for column in columns:
            con.execute(
                f"update {table} set {column} = regexp_replace({column}, $1, '{ERASED}', 'g') "
                f"where regexp_matches({column}, $1)",
                [pattern],
            )


def _forget_bounds(con: duckdb.DuckDBPyConnection, person: Person) -> None:
    """Update a catalog minimum or maximum that names the person; DuckLake 1.0 does not if no row is left."""
    ids = "|".join(sorted(re.escape(name) for names in person.ids.values() for name in names))
    columns = con.execute(
        "select stats.table_id, stats.column_id, schema_name, table_name, column_name "
        f"from {METADATA}.ducklake_table_column_stats as stats "
        f"join {METADATA}.ducklake_column as columns using (table_id, column_id) "
        f"join {METADATA}.ducklake_table as tables using (table_id) "
        f"join {METADATA}.ducklake_schema as schemas using (schema_id) "
        "where columns.end_snapshot is null and tables.end_snapshot is null and schemas.end_snapshot is null "
        "and lower(columns.column_type) = 'varchar' "
        "and regexp_matches(concat_ws(chr(10), min_value, max_value), $1)",
        [rf"\b(?:{ids})\b"],
    ).fetchall()
    for table_id, column_id, schema, table, column in columns:
        # empty, not null, without rows: DuckLake can't compare the next insert's values with null
        text = identifier(column)
        bounds = con.execute(
            f"select coalesce(min({text}), ''), coalesce(max({text}), '') from {identifier(schema, table)}"
        )
        con.execute(
            f"update {METADATA}.ducklake_table_column_stats set min_value = $1, max_value = $2 "
            "where table_id = $3 and column_id = $4",
            [*bounds.fetchall()[0], table_id, column_id],
        )


def _rejected(
    settings: Settings, con: duckdb.DuckDBPyConnection, rows: HeldRows, person: Person, *, file: str
) -> str | None:
    if rows.raw is None or not (settings.landing / rows.raw.lender / rows.raw.entity / file).exists():
        return None
    try:
        landed = open_landed(con, settings.landing, rows.raw.lender, rows.raw.entity, file)
    except SourceFileError:
        return None
    conditions = [
        f"{id_in(field)} in ({', '.join(map(literal, sorted(texts)))})"
        for column in rows.raw.identifies
        if (field := landed.rejected_field(column)) and (texts := rows.raw.texts_of(column, person.raw_ids))
    ]
    if not conditions:
        return None
    return (
        f"source = {literal(rows.raw.lender)} and entity = {literal(rows.raw.entity)} and file = {literal(file)} "
        f"and ({' or '.join(conditions)})"
    )
