"""The profit curve as a section: the curve of the advice, with the cut-off in force marked."""

from datetime import date
from typing import Any

import numpy as np
import pytest

from ml.figures.shapes import Lines, Missing, Table
from ml.pages import profit
from ml.policy_advice.decided_loans import DecidedLoans
from ml.training.policy import Policy
from warehouse.errors import NotFoundError
from warehouse.settings import Settings


def test_the_curve_marks_the_cut_off_in_force_and_says_whether_another_earns_more(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the loans at .4 default, none at .1: declining those of .4 earns more than approving all."""
    probabilities, defaulted = np.repeat([0.1, 0.4], 300), np.arange(600) % 2 * (np.arange(600) >= 300) > 0
    loans = DecidedLoans(
        "simulated", "m", 2, Policy(1.0), probabilities, defaulted, None, 700, date(2024, 1, 1), date(2024, 6, 1)
    )
    monkeypatch.setattr(profit, "read_decided_loans", lambda *_, **__: loans)

    curve, table = profit.profit_section(home, "simulated", date(2024, 6, 1)).figures

    assert isinstance(curve, Lines)
    assert [(mark.name, mark.at) for mark in curve.marks] == [("in force", 1.0), ("earned most", 0.4)]
    assert curve.about == "A choice in this way earns more than the cut-off in force."
    assert curve.title == "Profit of each cut-off, 600 matured loans"
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["earned most", "in force"]


def test_without_matured_loans_it_says_why(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any, **__: Any) -> DecidedLoans:
        raise NotFoundError("found none")

    monkeypatch.setattr(profit, "read_decided_loans", none)

    [missing] = profit.profit_section(home, "simulated", date(2024, 6, 1)).figures

    assert missing == Missing("There is no profit curve: found none.", "loanlake policy advise simulated")
