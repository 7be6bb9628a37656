"""The profit of each cut-off on matured loans, as a section of the portfolio's page."""

from datetime import date

import numpy as np
from numpy.typing import NDArray

from ml.figures.forms import between, written
from ml.figures.shapes import Figure, Line, Lines, Mark, Missing, Table
from ml.pages.document import Section
from ml.policy_advice.curve import ProfitCurve
from ml.policy_advice.decided_loans import read_decided_loans
from ml.training.fitting import training_settings_of
from warehouse.errors import LoanlakeError
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings

#: As many as a picture of this width can show.
_N_POINTS = 80
#: A second of resampling; the interval of more loans would be no wider than the line.
_MOST_LOANS = 200_000


def profit_section(settings: Settings, source: str, until: date, version: int | None = None) -> Section:
    """The curve of ``loanlake policy advise``, or why there is none; of the version in service unless one is given."""
    return Section(
        "profit",
        "Profit by cut-off",
        _curve(settings, source, until, version),
        "What each cut-off would have earned on the matured loans of this version, per application and as a "
        "share of the amount lent. Declined applicants have no outcome: a cut-off above the one in force is judged "
        "only by loans that were granted all the same.",
    )


def _curve(settings: Settings, source: str, until: date, version: int | None) -> list[Figure]:
    try:
        rule = training_settings_of(read_lender(source)).cut_off
        loans = read_decided_loans(settings, source, until=until, most=_MOST_LOANS, version=version)
        curve = ProfitCurve(loans.probabilities, loans.defaulted, rule)
    except LoanlakeError as error:
        return [Missing(f"There is no profit curve: {error}.", f"loanlake policy advise {source}")]
    in_force, best = loans.policy.cut_off, curve.best(loans.policy.cut_off)
    cut_offs, profits, lows, highs = curve.drawn(_N_POINTS)
    evidence = (
        "A choice in this way earns more than the cut-off in force."
        if best.is_shown
        else "There is no evidence that another cut-off earns more than the one in force."
    )
    named = {in_force: "in force", best.cut_off: "earned most"} if in_force != best.cut_off else {in_force: "in force"}
    part = "a sample of " if curve.n == _MOST_LOANS else ""
    rows = [(name, curve.at(cut_off)) for cut_off, name in sorted(named.items())]
    return [
        Lines(
            name="profit-curve",
            title=f"Profit of each cut-off, {part}{curve.n:,} matured loans",
            about=evidence,
            places=[f"{cut_off:.4f}" for cut_off in cut_offs],
            numbers=[float(cut_off) for cut_off in cut_offs],
            place_title="Cut-off (probability of default)",
            form="share",
            marks=[Mark(name, cut_off) for cut_off, name in named.items()],
            lines=[Line(name="profit", values=_plain(profits), low=_plain(lows), high=_plain(highs), tone=3)],
        ),
        Table(
            name="profit-figures",
            title="The cut-off in force, and the one that earned most",
            about=f"{loans.first_month:%Y-%m} to {loans.last_month:%Y-%m}. More: loanlake policy advise {source}",
            header=["", "Cut-off", "Approved", "Defaults", "Expected loss", "Realised loss", "Profit"],
            rows=[
                [
                    name,
                    f"{row.cut_off:.4f}",
                    written(row.approval_rate, "share"),
                    written(row.default_rate, "share"),
                    written(row.expected_loss, "share"),
                    written(row.realised_loss, "share"),
                    written(row.profit, "share") + between(row.profit_low, row.profit_high, "share"),
                ]
                for name, row in rows
            ],
        ),
    ]


def _plain(values: NDArray[np.float64]) -> list[float]:
    return [float(value) for value in values]
