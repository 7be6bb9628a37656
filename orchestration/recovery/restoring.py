"""From restored files to a home that can be used: runs ended, erasures repeated, online store filled."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from orchestration.people.erasure import erase_person
from orchestration.running.instance import end_interrupted_runs, prepare_dagster_home
from warehouse.backup.erased import ErasedPerson, erased_after, erased_since, still_held
from warehouse.backup.manifest import Manifest
from warehouse.backup.records import restored_from
from warehouse.backup.restoring import complete, require_empty, restore_files
from warehouse.backup.store import Store
from warehouse.decision_log.second_copy import require_disk, restore_copies
from warehouse.errors import BackupError
from warehouse.lake.connection import connect, lake_exists
from warehouse.lake.tables import is_table
from warehouse.online_store import refresh
from warehouse.online_store.refreshing import BORROWERS
from warehouse.people.person import Person
from warehouse.settings import Settings

_REASON = "erased before: the backup that was restored is older"


@dataclass(frozen=True)
class RestoredHome:
    """The result; ``n_erased``: persons erased again, ``n_runs_ended``: Dagster's runs that the backup interrupted.

    ``n_copied``: entries of the decision log that only its second copy had.
    """

    manifest: Manifest
    n_erased: int
    n_runs_ended: int
    n_copied: int
    seconds: float


def restore(
    settings: Settings, store: Store, manifest: Manifest, *, by: str, say: Callable[[str], None]
) -> RestoredHome:
    """Restore a backup into the empty home, and erase again who was erased since; repeat it if it was interrupted.

    Raises BackupError if the home is in use, or the backup is damaged.
    """
    require_empty(settings, manifest)
    started = time.monotonic()
    say(f"restoring {manifest.backup_id}: {len(manifest.files):,} files, {manifest.n_bytes / 1e6:,.1f} MB")
    restore_files(settings, store, manifest)
    n_copied = _add_copied(settings, store, say)
    n_runs = _end_runs(settings)
    n_erased = erase_again(settings, store, since=manifest, by=by)
    if _has_online_models(settings):
        refresh(settings, anew=True)
    complete(settings, store, manifest)
    return RestoredHome(manifest, n_erased, n_runs, n_copied, time.monotonic() - started)


def _add_copied(settings: Settings, store: Store, say: Callable[[str], None]) -> int:
    folder = settings.decision_copy
    if folder is None:
        return 0
    try:
        require_disk(folder, settings.decision_copy_disk)
    except OSError as error:
        raise BackupError(
            f"decisions after the backup are on another disk: {error}. Without LOANLAKE_DECISION_COPY they stay away"
        ) from None
    if not folder.exists():
        say(f"{folder} (LOANLAKE_DECISION_COPY) does not exist: the log has only what the backup has")
        return 0
    return restore_copies(settings, folder, is_erased=erased_after(settings, store.target))


def erase_again(settings: Settings, store: Store, *, since: Manifest | None = None, by: str) -> int:
    """Erase the persons on the target's list who were erased after the backup ``since`` began; returns their number.

    By default the backup that the home was restored from. Whom the home does not record as erased counts as erased
    after it, whatever the clock was. Each is erased as before (deleted, or under pseudonyms). At
    last all earlier snapshots expire that no live model needs, since they hold these persons.
    """
    if since is None:
        restored = restored_from(settings)
        if restored is None:
            raise BackupError(f"{settings.home} was not restored from a backup: nobody has to be erased again")
        moment = restored.backup_started_at
    else:
        moment = since.started_at
    if not lake_exists(settings):
        return 0
    erased = erased_since(settings, store.target, moment.replace(tzinfo=None))
    held = dict(still_held(settings, erased))
    # an erasure that had begun: its file has what is left to do
    begun = {borrower_id: None for borrower_id in _begun(settings) if borrower_id not in held}
    persons: list[tuple[str, ErasedPerson | None]] = [*held.items(), *begun.items()]
    for place, (borrower_id, person) in enumerate(persons, start=1):
        own = settings if person is None else replace(settings, erasure=person.treatment)
        at_once = place == len(persons)
        erase_person(own, borrower_id, reason=_REASON, by=by, at_once=at_once, is_listed=person is not None)
    return len(persons)


def _begun(settings: Settings) -> list[str]:
    return [
        msgspec.json.decode(path.read_bytes(), type=_Begun).person.borrower_id
        for path in sorted(settings.erasures.glob("*.json"))
    ]


class _Begun(msgspec.Struct):
    person: Person


def _end_runs(settings: Settings) -> int:
    if not settings.dagster_home.exists():
        return 0
    prepare_dagster_home(settings)
    return len(end_interrupted_runs("the home was restored from a backup made while this ran"))


def _has_online_models(settings: Settings) -> bool:
    if not lake_exists(settings):
        return False
    with connect(settings) as con:
        return is_table(con, BORROWERS)
