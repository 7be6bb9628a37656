"""Check a backup by restoring it into a temporary home: tables, models, training sets, decisions."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ml.decisions.replay import replay_newest
from ml.registry.deployment import read_deployment
from ml.registry.training_set_export import export_training_set
from warehouse.backup.checking import Damage, damaged_files, damaged_parts, damaged_tables
from warehouse.backup.manifest import Manifest
from warehouse.backup.restoring import restore_files
from warehouse.backup.servers.database import scratch_database
from warehouse.backup.store import Store
from warehouse.backup.target import backup_turn
from warehouse.errors import BackupError, LoanlakeError, SettingError
from warehouse.settings import Settings

#: Not needed to read the lake, or to replay a decision.
_NOT_NEEDED = (
    "landing/",
    "inbox/",
    "servers/objects/",
    "mlflow/",
    "dagster/",
    "walk_forward/",
    "searches/",
    "reports/",
    "candidates/",
)


@dataclass(frozen=True)
class Verified:
    """``damages``: everything that is not as it must be. ``n_replayed``: decisions equal to the bit.

    ``n_set_aside``: damaged parts that were moved away, so that the next backup copies them again.
    """

    damages: tuple[Damage, ...]
    n_tables: int
    n_replayed: int
    training_sets: tuple[str, ...]
    seconds: float
    n_set_aside: int = 0


def verify(settings: Settings, store: Store, manifest: Manifest, *, n_decisions: int) -> Verified:
    """Read every part, then open a restored copy: rows of each table, training sets of served models, decisions.

    The temporary home needs space for catalog, logs and bundles, and for the data files unless the backup is a plain
    folder. Nothing is written to ``settings.home``, and to the target only where a part is damaged.
    """
    started = time.monotonic()
    if parts := damaged_parts(store, manifest):
        n_aside, problems = _set_aside(settings, store, parts)
        damages = [*damaged_files(manifest, parts), *problems]
        return Verified(tuple(damages), 0, 0, (), time.monotonic() - started, n_aside)
    damages = []
    with tempfile.TemporaryDirectory(prefix="loanlake-verify-") as place, scratch_of(settings, manifest) as catalog:
        own = home_at(settings, Path(place).resolve() / "home", catalog=catalog)
        restore_files(own, store, manifest, link=True, wanted=lambda path: not path.startswith(_NOT_NEEDED))
        damages += damaged_tables(own, manifest)
        n_replayed = check_decisions(own, n_decisions, damages)
        training_sets = check_training_sets(own, damages)
    return Verified(tuple(damages), len(manifest.tables), n_replayed, training_sets, time.monotonic() - started)


def _set_aside(settings: Settings, store: Store, parts: Iterable[str]) -> tuple[int, list[Damage]]:
    """Move damaged parts away, which later backups would use; returns their number, and why others stay."""
    n_aside = 0
    try:
        with backup_turn(settings.home / "locks", store.target):
            for part in parts:
                n_aside += store.set_aside(part)
    except BackupError as error:
        return n_aside, [Damage("damaged pieces", f"they stay, and later backups use them: {error}; verify again")]
    return n_aside, []


def home_at(
    settings: Settings, home: Path, *, decision_copy: Path | None = None, catalog: str | None = None
) -> Settings:
    """The settings of another home, with its own places; ``catalog``: the database of a team's backup."""
    data = f"{home / 'lake' / 'data'}/"
    return replace(settings, home=home, lake_data=data, catalog=catalog, redis_url=None, decision_copy=decision_copy)


@contextmanager
def scratch_of(settings: Settings, manifest: Manifest) -> Iterator[str | None]:
    """A database to restore a team's backup into, beside the team's own, dropped at the end; None for a home's.

    Raises SettingError where no team is set, BackupError where its user may not create one.
    """
    if not manifest.is_of_team:
        yield None
        return
    if settings.catalog is None:
        raise SettingError(
            f"{manifest.backup_id} is of a team: to check it, set LOANLAKE_CATALOG to a server on which a database may "
            "be created, such as the team's own"
        )
    with scratch_database(settings) as catalog:
        yield catalog


def check_decisions(settings: Settings, n: int, damages: list[Damage]) -> int:
    """Replay the newest decisions, and add those that differ to ``damages``; returns how many are equal."""
    n_equal = 0
    try:
        for replayed in replay_newest(settings, n):
            n_equal += replayed.equal
            if not replayed.equal:
                damages.append(Damage(f"decision {replayed.decision.decision_id}", replayed.text))
    except LoanlakeError as error:
        damages.append(Damage("decisions", str(error)))
    return n_equal


def check_training_sets(settings: Settings, damages: list[Damage]) -> tuple[str, ...]:
    """Read the training set of each served model and compare its hash; returns what was found."""
    found = []
    for lender in settings.deployed_lenders():
        served = read_deployment(settings, lender)
        if served is None:
            continue
        name = f"{served.model_name} version {served.model_version}"
        try:
            read = export_training_set(settings, served.model_version, source=lender)
        except LoanlakeError as error:
            damages.append(Damage(f"training set of {name}", str(error)))
            continue
        proof = "persons were erased, no hash" if read.is_erased else f"SHA-256 {read.sha256[:12]}…, as in its lineage"
        found.append(f"{name}: {read.n_rows:,} rows, {proof}")
    return tuple(found)


@dataclass(frozen=True)
class Drilled:
    """A rehearsed recovery. ``lost_seconds``: age of the backup when the drill began, what a loss then would lose.

    ``restore_seconds``: until the restored home can be used; ``check_seconds``: reading and replaying everything.
    """

    damages: tuple[Damage, ...]
    lost_seconds: float
    restore_seconds: float
    check_seconds: float
    n_replayed: int
    training_sets: tuple[str, ...]


def drill(
    settings: Settings,
    manifest: Manifest,
    restore: Callable[[Settings], float],
    *,
    to: Path,
    n_decisions: int,
) -> Drilled:
    """Restore a backup into a new home at ``to`` and check it there; ``restore`` returns its seconds.

    A team's into a database of its own, which is dropped at the end, with its data files in the home.
    """
    lost = (datetime.now(UTC) - manifest.started_at).total_seconds()
    with scratch_of(settings, manifest) as catalog:
        own = home_at(settings, to, catalog=catalog)
        seconds = restore(own)
        started = time.monotonic()
        damages = damaged_tables(own, manifest)
        n_replayed = check_decisions(own, n_decisions, damages)
        training_sets = check_training_sets(own, damages)
    return Drilled(tuple(damages), lost, seconds, time.monotonic() - started, n_replayed, training_sets)
