"""Where to read the training rows of a snapshot: in the snapshot, or in a copy that an erasure kept.

Training rows of mature loans are a table, ``training.trn_default_v2``. Those with exposures and open loans,
``training.trn_exposed_v2``, are not a table: they are joined when they are read, from that one,
``training.lbl_exposures`` and the features. Exposures grow with each build, and the features of open loans are stored
already.

A snapshot cannot be changed, only expired. For each named snapshot with the person's rows, an erasure copies the other
training rows to a table (``training.trn_default_v2_at_57``), so that models can still be compared, scored and
inspected. The snapshot then expires after the retention.
"""

import re
from collections.abc import Collection

import duckdb

from warehouse.lake.feature_tables import EXPOSED_MODEL, FeatureVersion, training_version
from warehouse.lake.tables import schemas_and_tables

#: For how long each loan was observed, and whether it has defaulted in that time.
EXPOSURES = "training.lbl_exposures"
#: The split of loans whose window is still open.
OPEN = "open"
_EXPOSED = re.compile(rf"training\.{EXPOSED_MODEL}_(?P<version>v\w+)")
_KEPT = re.compile(r"(?P<table>trn_(?:default|exposed)_v\w+)_at_(?P<snapshot>\d+)")


def rows_at(con: duckdb.DuckDBPyConnection, table: str, snapshot: int) -> str:
    """SQL of the relation with training rows (``training.trn_default_v2``, ``trn_exposed_v2``) as of a snapshot."""
    if is_kept(con, table, snapshot):
        return kept_table(table, snapshot)
    return rows_of_snapshot(table, snapshot)


def rows_of_snapshot(table: str, snapshot: int) -> str:
    """:func:`rows_at` of a snapshot from which nobody was erased."""
    found, at = _EXPOSED.fullmatch(table), f"at (version => {snapshot:d})"
    if found is None:
        return f"{table} {at}"
    version = FeatureVersion.parse(found["version"])
    return exposed_rows(
        f"from {version.training_table} {at}",
        f"{EXPOSURES} as exposures {at}",
        f"{version.features_table} as features {at}",
    )


def exposed_rows(mature: str, exposures: str, features: str) -> str:
    """SQL of the relation of training rows with exposures, mature and open.

    ``mature``: a query of the rows of a training table. ``exposures`` and ``features``: relations with these aliases.
    An open row's ``is_default`` says whether it has defaulted by ``label_known_at``, until when it was observed.
    """
    return (
        "(select rows.*, exposures.observed_windows, exposures.is_default as is_default_so_far "
        f"from ({mature} union all by name select features.*, '{OPEN}' as split, exposures.is_default, "
        f"exposures.observed_until as label_known_at from {exposures} join {features} "
        "on features.application_id = exposures.application_id where exposures.is_open) as rows "
        f"left join {exposures} on exposures.application_id = rows.application_id)"
    )


def kept_table(table: str, snapshot: int) -> str:
    """The name of the table for kept rows of a snapshot; it may not exist."""
    return f"{table}_at_{snapshot:d}"


def is_kept(con: duckdb.DuckDBPyConnection, table: str, snapshot: int) -> bool:
    """Whether a training table's rows as of a snapshot were kept by an erasure."""
    return kept_table(table, snapshot).partition(".")[2] in _tables(con)


def kept_snapshots(con: duckdb.DuckDBPyConnection) -> set[int]:
    """Snapshots whose training rows an erasure kept: they are no longer read from the snapshot."""
    return {int(found["snapshot"]) for table in _tables(con) if (found := _KEPT.fullmatch(table))}


def training_tables(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The training tables of all versions of the features."""
    return [version.training_table for version in _versions(con)]


def keepable_rows(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The names of all training rows of a snapshot: those of mature loans, and those with exposures."""
    return [name for version in _versions(con) for name in (version.training_table, version.exposed_rows)]


def drop_unnamed(con: duckdb.DuckDBPyConnection, named: Collection[int]) -> None:
    """Drop the kept rows of snapshots that are no longer named; ``con`` is a writer's."""
    for table in sorted(_tables(con)):
        found = _KEPT.fullmatch(table)
        if found and int(found["snapshot"]) not in named:
            con.execute(f"drop table training.{table}")


def _versions(con: duckdb.DuckDBPyConnection) -> list[FeatureVersion]:
    return [version for table in sorted(_tables(con)) if (version := training_version(table)) is not None]


def _tables(con: duckdb.DuckDBPyConnection) -> set[str]:
    """Committed tables: each reader of training rows asks."""
    schema = "training."
    return {name.removeprefix(schema) for name in schemas_and_tables(con)[1] if name.startswith(schema)}
