"""The plan of a walk: source, months, policies, and labels."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, get_args

from ml.judging.gate import GateLimits
from ml.training.fitting import TrainingSettings
from warehouse.errors import SettingError

RetrainingPolicy = Literal["never", "monthly", "drift"]
POLICIES: tuple[RetrainingPolicy, ...] = get_args(RetrainingPolicy)
#: The usual observation window of a probability of default (Basel: one year).
LABEL_WINDOW_MONTHS = 12
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True)
class WalkPlan:
    """A walk over the months ``first`` to ``last``, given by their first days and both included.

    ``run`` names it, so that others with different settings can exist. ``label_window_months``: a default counts within
    this number of months after the decision.
    """

    source: str
    first: date
    last: date
    policies: tuple[RetrainingPolicy, ...] = POLICIES
    run: str = "main"
    label_window_months: int = LABEL_WINDOW_MONTHS
    training: TrainingSettings = field(default_factory=TrainingSettings)
    limits: GateLimits = field(default_factory=GateLimits)

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise SettingError(f"a walk must not end before it begins: found {self.first:%Y-%m} to {self.last:%Y-%m}")
        if not _RUN.fullmatch(self.run):
            raise SettingError(
                f"a run is named by up to 40 letters, digits, - and _, the first a letter or digit: found {self.run!r}"
            )
        if self.label_window_months < 1:
            raise SettingError(f"label_window_months must be at least 1: found {self.label_window_months}")

    @property
    def months(self) -> Sequence[date]:
        """First day of every month of the walk."""
        months = [self.first]
        while months[-1] < self.last:
            months.append(next_month(months[-1]))
        return months


def parse_policies(names: Sequence[str]) -> tuple[RetrainingPolicy, ...]:
    """Policies in the order never, monthly, drift (default: all); raises SettingError for an unknown name."""
    unknown = [name for name in names if name not in POLICIES]
    if unknown:
        raise SettingError(f"a policy must be one of {', '.join(POLICIES)}: found {', '.join(unknown)}")
    return tuple(policy for policy in POLICIES if policy in names) or POLICIES


def parse_month(text: str) -> date:
    """The first day of a month written ``2009-01``; raises SettingError for anything else."""
    try:
        return datetime.strptime(text, "%Y-%m").date()
    except ValueError:
        raise SettingError(f"a month must be written YYYY-MM, such as 2009-01: found {text!r}") from None


def next_month(month: date) -> date:
    """The first day of the month after.

    >>> next_month(date(2010, 12, 1))
    datetime.date(2011, 1, 1)
    """
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def previous_month(month: date) -> date:
    """The first day of the month before.

    >>> previous_month(date(2011, 1, 1))
    datetime.date(2010, 12, 1)
    """
    return date(month.year - (month.month == 1), (month.month - 2) % 12 + 1, 1)
