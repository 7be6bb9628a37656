"""Erase a person from the home: lake, landing files, decision log, batches, online store, bundles and texts.

A file (``erasures/``, readable only by the owner) keeps the remaining work, so that repeating the command finishes a
killed erasure. Repeated steps change nothing.
"""

import os
import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import msgspec

from ml.registry.bundle_erasure import erase_from_bundles
from ml.registry.registry import tag_changed_bundles
from orchestration.defs.maintenance.upkeep import maintain_home, snapshots_in_use
from orchestration.people.erased_texts import erase_texts
from orchestration.people.export import trained_on
from warehouse.backup.erased import ErasedPerson, note_erasure
from warehouse.backup.options import BackupOptions
from warehouse.backup.target import open_target
from warehouse.decision_log import erase_entries
from warehouse.errors import NotFoundError
from warehouse.files.replacing import replace_file
from warehouse.lake.connection import CATALOG, connect, writer
from warehouse.lake.dev_lakes import dev_lakes, drop_dev_lake
from warehouse.lake.tables import is_table
from warehouse.online_store import refresh
from warehouse.online_store.refreshing import BORROWERS as ONLINE_BORROWERS
from warehouse.people.batches import erase_from_batches
from warehouse.people.erasure import (
    LakeErasure,
    LandingLines,
    erase,
    landing_lines,
    naming_pattern,
    rewrite_landing,
    rows_to_keep,
)
from warehouse.people.person import Person, find_person, logged_entries, rows_held
from warehouse.people.pseudonyms import Pseudonyms, pseudonyms
from warehouse.people.requests import last_erasure, record_request
from warehouse.raw.keys import raw_tables, read_manifest
from warehouse.settings import Erasure, Settings, read
from warehouse.sources.erasing import never_loaded


@dataclass(frozen=True)
class Erased:
    """The result: rows by table and store, and ``models``: versions that learned from the person.

    ``dev_lakes``: owners of dropped dev lakes. ``n_snapshots``: earlier snapshots, which still hold the rows.
    ``never_loaded``: landing files that may hold them too.
    ``erased_before``: when the person was erased, UTC, if nothing was left.
    """

    treatment: Erasure
    counts: Mapping[str, int] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    dev_lakes: tuple[str, ...] = ()
    never_loaded: tuple[Path, ...] = ()
    n_snapshots: int = 0
    erased_before: datetime | None = None


class _Plan(msgspec.Struct):
    """What an erasure that has begun needs to be finished."""

    request_id: str
    treatment: Erasure
    person: Person
    lines: LandingLines = {}
    models: list[str] = []


def erase_person(
    settings: Settings, borrower_id: str, *, reason: str, by: str, at_once: bool = False, is_listed: bool = False
) -> Erased:
    """Erase a borrower, or replace their ids by pseudonyms, as ``settings.erasure`` says.

    A repeated erasure changes nothing and says so. ``at_once`` also expires every earlier snapshot that no live model
    needs, and deletes its files: only while no process reads the lake. ``is_listed``: already beside the backups, where
    the time stays. Raises NotFoundError for an unknown borrower, and LakeBusyError if another writer holds the lease.
    """
    with connect(settings) as con:
        try:
            person = find_person(settings, con, borrower_id)
        except NotFoundError as error:
            person, unknown = None, error
        marks = pseudonyms(settings)
        path = settings.erasures / f"{marks.mark(borrower_id)}.json"
        before = last_erasure(con, marks.mark(borrower_id))
    if path.exists():
        plan = msgspec.json.decode(path.read_bytes(), type=_Plan)
    elif person is not None:
        plan = _Plan(str(uuid.uuid4()), settings.erasure, person)
    elif before is not None:
        return Erased(settings.erasure, n_snapshots=_earlier_snapshots(settings, at_once=at_once), erased_before=before)
    else:
        raise unknown
    erasure = _Erasure(settings, plan, path, mark=marks.mark(borrower_id))
    counts = erasure.erase_rows(reason=reason, by=by)
    dropped = erasure.erase_elsewhere()
    n_snapshots = _earlier_snapshots(settings, at_once=at_once)
    if not is_listed:
        _add_to_list(settings, erasure.mark, plan.treatment)
    path.unlink()
    with connect(settings) as con:
        left = tuple(never_loaded(con, settings.landing))
    return Erased(plan.treatment, counts, tuple(plan.models), dropped, left, n_snapshots)


@dataclass(frozen=True)
class _Erasure:
    """One running erasure; ``mark``: the person's name in the record of requests."""

    settings: Settings
    plan: _Plan
    path: Path
    mark: str

    def erase_rows(self, *, reason: str, by: str) -> dict[str, int]:
        """Change lake, landing files and decision log under the writer lease; rows by place.

        Moving decisions to the lake waits, and finds none of the person afterwards.
        """
        settings, plan = self.settings, self.plan
        named = snapshots_in_use(settings, retention=timedelta(days=settings.retention_days))
        with writer("erase a person", settings) as con:
            what = self._learn(con, named)
            entries = list(logged_entries(settings, what.person))
            erase_entries(settings, entries, rename=self._rename)
            rewritten = rewrite_landing(settings, con, plan.lines)

            def record(counts: Mapping[str, int]) -> None:
                elsewhere = {"decision log": len(entries), "landing lines": sum(map(len, plan.lines.values()))}
                record_request(
                    con,
                    "erase",
                    by=by,
                    reason=reason,
                    counts={**counts, **elsewhere},
                    person=self.mark,
                    treatment=plan.treatment,
                    models=plan.models,
                    request_id=plan.request_id,
                )

            counts = erase(con, what, lines=plan.lines, rewritten=rewritten, record=record)
            for file in rewritten.values():
                file.put()
        return {**counts, "decision log": len(entries)}

    def erase_elsewhere(self) -> tuple[str, ...]:
        """Erase from the lake's derivatives: online store, bundles, texts, and dev lakes.

        Dev lakes are dropped with all their snapshots; returns their owners. `dbt build` rebuilds them.
        """
        settings, plan = self.settings, self.plan
        if _has_table(settings, ONLINE_BORROWERS):
            refresh(settings, anew=True)
        changed = erase_from_bundles(settings, plan.person.application_ids, rename=self._rename)
        tag_changed_bundles(settings, changed)
        erase_from_batches(settings, plan.person, naming_pattern(plan.person), rename=self._rename)
        erase_texts(settings, naming_pattern(plan.person))
        dropped = tuple(dev_lakes(settings))
        for name in dropped:
            drop_dev_lake(settings, name)
        return dropped

    def _learn(self, con: duckdb.DuckDBPyConnection, named: Collection[int]) -> LakeErasure:
        """The rows to erase, with an earlier attempt's, stored before anything changes."""
        settings, plan, person = self.settings, self.plan, self.plan.person
        with suppress(NotFoundError):  # an earlier attempt came as far as the lake
            person.learn(find_person(settings, con, person.borrower_id))
        held = tuple(rows_held(settings, con, person))
        for name, numbers in landing_lines(settings, con, held, person).items():
            plan.lines[name] = sorted({*plan.lines.get(name, []), *numbers})
        plan.models = plan.models or [
            f"{version.model_name} version {version.model_version}" for version in trained_on(settings, con, person)
        ]
        kept = rows_to_keep(con, held, named)
        replace_file(self.path, msgspec.json.encode(plan), mode=0o600)
        return LakeErasure(person, held, self._names, kept)

    @property
    def _names(self) -> Pseudonyms | None:
        if self.plan.treatment == "delete":
            return None
        prefixes: set[str] = set()
        for source in self.plan.person.sources:
            prefixes.update(*(table.prefixes for table in raw_tables(read_manifest(self.settings), source)))
        return pseudonyms(self.settings, prefixes)

    @property
    def _rename(self) -> Callable[[str], str] | None:
        names = self._names
        return None if names is None else names.of


def _earlier_snapshots(settings: Settings, *, at_once: bool) -> int:
    """Number of earlier snapshots left to expire; ``at_once`` expires them."""
    if at_once:
        maintain_home(settings, retention_days=0, grace_hours=0)
        return 0
    with connect(settings) as con:
        ((n_snapshots,),) = con.execute(f"select count(*) from ducklake_snapshots('{CATALOG}')").fetchall()
    return int(n_snapshots) - 1


def _add_to_list(settings: Settings, mark: str, treatment: Erasure) -> None:
    """Beside the backups, for a restore of an earlier one; the erasure ends only then."""
    options = BackupOptions(**read(BackupOptions, os.environ))
    if options.backup_target is None:
        return
    with connect(settings) as con:
        erased_at = last_erasure(con, mark)
    if erased_at is not None:
        note_erasure(open_target(options.backup_target), ErasedPerson(mark, erased_at, treatment))


def _has_table(settings: Settings, table: str) -> bool:
    with connect(settings) as con:
        return is_table(con, table)
