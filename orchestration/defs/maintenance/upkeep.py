"""Maintenance of a home: the lake (keeping snapshots that models need), batches, decision log."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from ml.registry.live_models import live_models
from orchestration.defs.training.candidates import named_snapshots as named_by_candidates
from warehouse.batches import BatchStates
from warehouse.batches.files import remove_unknown
from warehouse.decision_log import Pruned, prune
from warehouse.errors import LakeError
from warehouse.lake.connection import connect
from warehouse.lake.dev_lakes import dev_lakes, of_dev_lake
from warehouse.lake.maintenance import Maintained, maintain
from warehouse.lake.training_rows import kept_snapshots
from warehouse.settings import KEY_LIFE, Settings

_DEV_LEASE_SECONDS = 1.0


@dataclass(frozen=True)
class Upkeep:
    """The result. ``kept``: old snapshots that were kept, and for which models; ``dev_lakes``: results by name."""

    lake: Maintained
    kept: dict[int, str]
    log: Pruned
    dev_lakes: Mapping[str, str]


def maintain_home(
    settings: Settings, *, retention_days: float | None = None, grace_hours: float | None = None
) -> Upkeep:
    """Maintain the lake, with the home's settings by default, and delete old batches and logged decisions."""
    retention = timedelta(days=settings.retention_days if retention_days is None else retention_days)
    grace = timedelta(hours=settings.grace_hours if grace_hours is None else grace_hours)
    named: dict[int, str] = {}

    def ask() -> dict[int, str]:
        named.update(snapshots_in_use(settings, retention=retention))
        return named

    done = maintain(settings, named_snapshots=ask, retention=retention, grace=grace)
    _remove_old_batches(settings, before=datetime.now(UTC) - max(retention, grace, KEY_LIFE))
    pruned = prune(settings, older_than=timedelta(days=settings.decision_log_days))
    with connect(settings) as con:
        # an erasure copied the snapshot's rows to a table: no model needs the snapshot
        kept_elsewhere = kept_snapshots(con)
    kept = {snapshot: why for snapshot, why in named.items() if snapshot not in kept_elsewhere}
    return Upkeep(done, kept, pruned, _maintain_dev_lakes(settings, retention=retention, grace=grace))


def _maintain_dev_lakes(settings: Settings, *, retention: timedelta, grace: timedelta) -> dict[str, str]:
    """Name → result; a lake that is being built is skipped."""
    found = {}
    for name in dev_lakes(settings):
        own = replace(of_dev_lake(settings, name), lease_seconds=_DEV_LEASE_SECONDS)
        try:
            done = maintain(own, retention=retention, grace=grace)
        except LakeError as error:
            found[name] = f"left as it is: {error}"
        else:
            found[name] = f"{done.n_snapshots_expired:,} snapshots expired, {done.n_files_deleted:,} files deleted"
    return found


def _remove_old_batches(settings: Settings, *, before: datetime) -> None:
    """Delete bodies of batches that ended before then, and orphaned bodies; scores stay in the lake."""
    states = BatchStates(settings)
    states.remove_ended_before(before.replace(tzinfo=None))
    yesterday = datetime.now(UTC) - timedelta(days=1)
    remove_unknown(settings, lambda batch_id: states.find(batch_id) is not None, before=yesterday.timestamp())


def snapshots_in_use(settings: Settings, *, retention: timedelta) -> dict[int, str]:
    """Every snapshot that must stay at any age, and what needs it."""
    found: dict[int, list[str]] = {}
    for model in live_models(settings, retention=retention):
        found.setdefault(model.snapshot, []).append(str(model))
    for snapshot, who in named_by_candidates(settings):
        found.setdefault(snapshot, []).append(who)
    return {snapshot: "; ".join(who) for snapshot, who in sorted(found.items())}
