"""Which version a month's report is about: the one that decided in it, or was in service then."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from ml.pages.reading import Row, Tables
from ml.registry.deployment import Deployment, read_deployment, read_history
from warehouse.settings import Settings


@dataclass(frozen=True)
class VersionOfMonth:
    """``why``: in a sentence, how it was chosen, and what else decided."""

    model_name: str
    model_version: int
    why: str

    @property
    def row(self) -> Row:
        """What selects its rows in tables."""
        return {"model_name": self.model_name, "model_version": self.model_version}

    def is_deployment(self, deployment: Deployment) -> bool:
        """Whether a deployment serves it."""
        return deployment.is_version(self.model_name, self.model_version)


def version_of_month(tables: Tables, settings: Settings) -> VersionOfMonth | None:
    """The version that decided on most applications of ``tables.until``; without decisions, the one in service then.

    Where nothing served yet, as in files of past years, the one in service now, which scored the month afterwards. None
    if nothing is in service.
    """
    month = f"{tables.until:%Y-%m}"
    decided = tables.rows(_DECIDED)
    if decided:
        most, *others = decided
        also = "".join(f"; version {row['model_version']} decided on {row['n_decisions']:,}" for row in others)
        why = f"it decided on {most['n_decisions']:,} applications of {month}{also}"
        return VersionOfMonth(most["model_name"], int(most["model_version"]), why)
    then = _served_at_end_of(tables.until, settings, tables.source)
    if then is not None:
        why = f"no application of {month} was decided on by a call or a batch; it was in service at the month's end"
        return VersionOfMonth(then.model_name, then.model_version, why)
    now = read_deployment(settings, tables.source)
    if now is None:
        return None
    why = f"nothing was in service in {month}: it is the one in service now, and scored these applications afterwards"
    return VersionOfMonth(now.model_name, now.model_version, why)


def _served_at_end_of(month: date, settings: Settings, source: str) -> Deployment | None:
    following = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    end = datetime(following.year, following.month, 1, tzinfo=UTC)
    before: Sequence[Deployment] = [
        change.deployment for change in read_history(settings, source) if datetime.fromisoformat(change.at) < end
    ]
    return before[-1] if before else None


_DECIDED = """
select model_name, model_version, sum(n_decisions)::bigint as n_decisions from portfolio.bands
where source = $source and month = $until::date and not is_backfill
group by model_name, model_version having sum(n_decisions) > 0 order by n_decisions desc, model_version desc
"""
