"""A person's data as JSON: everything that is stored about them."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from ml.bundle.bundle import Bundle, load_bundle
from ml.training.training_set import statement_now
from warehouse.errors import OnlineStoreUnavailable
from warehouse.files.patterns import parquet
from warehouse.lake.connection import connect, writer
from warehouse.lake.dev_lakes import dev_lakes, of_dev_lake
from warehouse.online_store import borrower_key, open_store
from warehouse.people.batches import held_in_batches
from warehouse.people.person import HeldRows, Person, find_person, logged_entries, rows_held, rows_in_copy
from warehouse.people.requests import record_request
from warehouse.settings import Settings
from warehouse.sql.quoting import literal


@dataclass(frozen=True)
class TrainedOn:
    """A registered version that learnt from the person; ``splits``: number of their applications by part."""

    model_name: str
    model_version: int
    lake_snapshot: int
    splits: dict[str, int]


def export_person(settings: Settings, borrower_id: str, *, by: str) -> dict[str, Any]:
    """All data of a borrower, in plain JSON types; records the request in ``serving.person_requests``.

    ``lake``: table → current rows, raw ones with file and line of the landing file. ``dev_lakes``: the same of people's
    own lakes. ``decision_log``: entries still in the API's log. ``online_store``: their record or None. ``batches``:
    their rows in batches, with results. ``trained``: versions that learned from them. Raises NotFoundError for an
    unknown borrower.
    """
    with connect(settings) as con:
        person = find_person(settings, con, borrower_id)
        held = _rows_of(con, rows_held(settings, con, person))
        trained = trained_on(settings, con, person)
        copies = {}
        for name in dev_lakes(settings):
            with connect(of_dev_lake(settings, name)) as copy:
                copies[name] = _rows_of(copy, rows_in_copy(settings, con, copy, person))
    log = [{"kind": kind.table, **msgspec.to_builtins(entry)} for kind, _, entry in logged_entries(settings, person)]
    store = _online_record(settings, borrower_id)
    batches = held_in_batches(settings, person)
    found = {
        "borrower_id": borrower_id,
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "application_ids": sorted(person.application_ids),
        "sources": sorted(person.sources),
        "lake": held,
        "dev_lakes": copies,
        "decision_log": log,
        "online_store": store,
        "batches": batches,
        "trained": [asdict(version) for version in trained],
    }
    counts = {table: len(rows) for table, rows in held.items()}
    counts |= {f"{table} of {name}": len(rows) for name, copy in copies.items() for table, rows in copy.items()}
    counts |= {"decision log": len(log), "online store": int(store is not None), "batches": len(batches)}
    with writer("record a person's request", settings) as con:
        record_request(con, "export", by=by, reason="", counts=counts)
    plain: dict[str, Any] = json.loads(msgspec.json.encode(found))
    return plain


def trained_on(settings: Settings, con: duckdb.DuckDBPyConnection, person: Person) -> list[TrainedOn]:
    """The registered versions whose training set has an application of the person, by name and version."""
    found = []
    published = [path for path in settings.bundles.glob("*/*/bundle.json") if path.parent.name.isdecimal()]
    for path in sorted(published, key=_version_of):
        bundle = load_bundle(path.parent)
        splits = _splits(con, bundle, person)
        if splits:
            name, version = _version_of(path)
            found.append(TrainedOn(name, version, bundle.lineage.lake_snapshot, splits))
    return found


def _splits(con: duckdb.DuckDBPyConnection, bundle: Bundle, person: Person) -> dict[str, int]:
    if not person.application_ids:
        return {}
    lineage, mine = bundle.lineage, ", ".join(map(literal, sorted(person.application_ids)))
    rows = f"({statement_now(con, lineage.source, lineage.feature_version, lineage.lake_snapshot)})"
    try:
        return dict(
            con.execute(
                f"select split, count(*) from {rows} where application_id in ({mine}) group by split order by split"
            ).fetchall()
        )
    except duckdb.Error:  # the snapshot has expired: the bundle names the rows it was fitted on
        n = con.execute(
            f"select count(*) from {parquet(bundle.reference_scores)} where application_id in ({mine})"
        ).fetchall()[0][0]
        return {"train": n} if n else {}


def _version_of(path: Path) -> tuple[str, int]:
    return path.parts[-3], int(path.parts[-2])


def _rows_of(con: duckdb.DuckDBPyConnection, held: Iterable[HeldRows]) -> dict[str, list[dict[str, Any]]]:
    """Table → its rows of the person."""
    found = {}
    for rows in held:
        result = con.execute(f"select * from {rows.relation} where {rows.condition}")
        names = [column[0] for column in result.description or []]
        found[rows.table] = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    return found


def _online_record(settings: Settings, borrower_id: str) -> dict[str, Any] | None:
    async def read() -> dict[str, Any] | None:
        store = open_store(settings)
        try:
            (record,) = await store.read([borrower_key(borrower_id)])
        except OnlineStoreUnavailable:
            return None  # never written
        finally:
            await store.close()
        return None if record is None else msgspec.structs.asdict(record)

    return asyncio.run(read())
