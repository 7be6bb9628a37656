"""What a check found, and what to do."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from warehouse.settings.variable import masked

Verdict = Literal["ok", "warning", "failed"]

#: Servers whose clocks differ by more order decisions and snapshots wrongly for people who read them.
MOST_SECONDS_APART = 2.0


@dataclass(frozen=True)
class Finding:
    """One line of the report. ``advice``: what to do, unless all is well. ``seconds``: how long the check took."""

    part: str
    verdict: Verdict
    found: str
    advice: str = ""
    seconds: float = 0.0

    @property
    def lines(self) -> list[str]:
        """For people; passwords are masked, whatever a driver's message holds."""
        first = (
            f"{self.verdict:<8} {self.part:<16} {' '.join(masked(self.found).split())} ({self.seconds * 1000:.0f} ms)"
        )
        return [first, *([f"{'':<25} {masked(self.advice)}"] if self.advice else [])]


def checked(part: str, check: Callable[[], Finding | None], *, advice: str) -> Finding | None:
    """What a check found; an error is a failed finding with ``advice``, so that the other parts are still checked."""
    started = time.perf_counter()
    try:
        found = check()
    except Exception as error:  # a driver's own errors, of drivers that may not be installed
        first = str(error).strip() or type(error).__name__
        found = Finding(part, "failed", first, advice)
    return replace(found, seconds=time.perf_counter() - started) if found is not None else None


def clock(seconds_apart: float) -> tuple[Verdict, str, str]:
    """Verdict, words and advice about a server's clock, ``seconds_apart`` from this machine's."""
    if abs(seconds_apart) <= MOST_SECONDS_APART:
        return "ok", f"clock {seconds_apart:+.1f} s", ""
    return "warning", f"clock {seconds_apart:+.1f} s", "Synchronise the clocks of both machines by NTP."
