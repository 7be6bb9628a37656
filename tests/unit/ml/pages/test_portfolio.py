"""The portfolio's figures, by the rows of its tables."""

from datetime import date
from typing import Any

from ml.figures.shapes import Heat, Lines
from ml.pages.document import Section
from ml.pages.portfolio import portfolio_sections
from ml.pages.reading import Row, Tables, months_between


class _Rows(Tables):
    """Answers each query by the table that it names."""

    def __init__(self, **tables: list[Row]) -> None:
        super().__init__(con=None, source="bank")  # type: ignore[arg-type]  # it is not asked
        object.__setattr__(self, "tables", tables)

    def rows(self, query: str, **_: object) -> list[Row]:
        found: dict[str, list[Row]] = self.tables  # type: ignore[attr-defined]  # set above
        return next((rows for name, rows in found.items() if f"portfolio.{name}" in query), [])


def _figure(tables: _Rows, name: str) -> Any:
    sections = portfolio_sections(tables, {"model_name": "m", "model_version": 1}, Section("profit", "Profit", []))
    return next(figure for section in sections for figure in section.figures if getattr(figure, "name", "") == name)


def test_only_the_newest_vintages_are_drawn_and_the_page_says_so() -> None:
    shares = {"months_on_book": 3, "n_observed": 10, "n_defaults": 1, "default_share": 0.1, "loss_share": None}
    rows = [{"vintage": month, **shares} for month in months_between(date(2018, 1, 1), date(2022, 12, 1))]

    curves = _figure(_Rows(vintages=rows), "vintage-default-share")

    assert isinstance(curves, Lines)
    assert (len(curves.lines), curves.lines[0].name) == (48, "2019-01")
    assert curves.about == "The newest 48 of 60 vintages."


def test_roll_rates_are_pooled_over_a_year_and_each_row_adds_up() -> None:
    months = months_between(date(2023, 12, 1), date(2024, 12, 1))  # the first is left out of a year
    rows = [
        {"month": month, "from_state": "1", "to_state": to_state, "n_borrowers": n, "borrower_share": n / 100}
        for month in months
        for to_state, n in (("current", 40 if month > months[0] else 90), ("2", 60 if month > months[0] else 10))
    ]

    matrix = _figure(_Rows(roll_rates=rows), "roll-matrix")

    assert isinstance(matrix, Heat)
    cells = [cell for cell in matrix.rows[0].cells if cell is not None]
    assert matrix.columns == ["current", "2"]
    assert [cell.text.replace("\N{NO-BREAK SPACE}", " ") for cell in cells] == ["40.0 %", "60.0 %"]
    assert cells[0].about == "480 of 1,200"


def test_none_of_some_borrowers_is_zero_and_no_borrowers_are_a_gap() -> None:
    months = months_between(date(2024, 1, 1), date(2024, 3, 1))
    seen = {"from_state": "1", "n_borrowers": 10}
    rows = [
        {"month": months[0], "to_state": "2", "borrower_share": 1.0, **seen},
        {"month": months[1], "to_state": "current", "borrower_share": 1.0, **seen},
        {"month": months[2], "to_state": "1", "borrower_share": 1.0, "n_borrowers": 5, "from_state": "current"},
    ]

    lines = {line.name: line.values for line in _figure(_Rows(roll_rates=rows), "roll-months").lines}

    assert lines["1 → 2"] == [1.0, 0.0, None]


def test_bands_have_no_concentration_before_the_first_decision() -> None:
    """Every application is then of the band unknown, which would look like one band for all."""
    shares = {"application_share": 1.0, "amount_share": 1.0, "n_applications": 5}
    rows = [
        {"month": date(2024, 1, 1), "dimension": "band", "segment": "unknown", "herfindahl_index": 1.0, **shares},
        {"month": date(2024, 2, 1), "dimension": "band", "segment": "low", "herfindahl_index": 0.3, **shares},
    ]

    lines = _figure(_Rows(concentration=rows), "herfindahl")

    assert lines.lines[0].values == [None, 0.3]
