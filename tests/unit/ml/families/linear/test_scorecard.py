"""A scorecard: whole points by bin, which a person can add up from the printed card."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from ml.families.linear.scorecard import PointsModel, Scorecard
from ml.families.protocol import Sample
from tests.unit.ml.small_samples import TEST, TRAIN, TUNE, small_sample
from warehouse.errors import SettingError

NAMES = ("income", "purpose=car", "noise")
FREE = (0, 0, 0)
#: Missing values only in the first column, so that its bin for them has points and the others' have none.
WITH_GAPS = small_sample(3000, seed=4)
WITH_GAPS.matrix[::5, 0] = np.nan


@pytest.fixture(scope="module")
def card() -> PointsModel:
    return Scorecard().fit(WITH_GAPS, TUNE, (1, 0, 0))


def test_the_printed_points_add_up_to_the_score_of_every_row(card: PointsModel, tmp_path: Path) -> None:
    """By hand from the CSV, as a person would: the bins' words, the points beside them, the base points."""
    card.write(tmp_path, NAMES)
    head, base, *lines = csv.reader((tmp_path / "scorecard.csv").read_text().splitlines())
    assert head[:3] == ["column", "values", "points"]

    def by_hand(row: np.ndarray) -> int:
        total = int(base[2])
        for name, value in zip(NAMES, row.tolist(), strict=True):
            total += sum(int(line[2]) for line in lines if line[0] == name and _is_in(value, line[1]))
        return total

    rows = np.vstack([WITH_GAPS.matrix[:100], TEST.matrix[:100]])
    totals, raw = card.totals(rows), card.raw_scores(rows)

    assert [by_hand(row) for row in rows] == totals.tolist()
    assert card.points(raw).tolist() == totals.tolist()
    assert [card.points_of_one(float(each)) for each in raw] == totals.tolist()


def test_a_value_written_as_the_card_prints_an_edge_lies_in_the_upper_bin(card: PointsModel, tmp_path: Path) -> None:
    """An edge printed as 0.155950002 let 0.15595 look as if below it; as float32, which is compared, it is not."""
    card.write(tmp_path, NAMES)
    lines = csv.DictReader((tmp_path / "scorecard.csv").read_text().splitlines())

    lower = [
        line["values"].split()[0]
        for line in lines
        if line["column"] == "income" and (" and above" in line["values"] or " to below " in line["values"])
    ]

    assert np.array(lower, dtype=np.float32).astype(np.float64).tolist() == list(card.columns[0].edges)


def test_points_mean_the_odds_that_the_settings_say() -> None:
    card = Scorecard(base_points=500, base_odds=20, points_to_double=40).fit(TRAIN, TUNE, FREE)

    assert card.offset - card.factor * np.log(1 / 20) == pytest.approx(500)  # odds of 20 to 1 that it is repaid
    assert card.factor * np.log(2) == pytest.approx(40)


def test_points_fall_as_risk_rises_where_the_contract_says_so(card: PointsModel) -> None:
    points = card.columns[0].points[:-1]

    assert len(set(points)) > 3
    assert list(points) == sorted(points, reverse=True)


def test_missing_values_have_points_of_their_own_and_none_if_no_row_had_one(card: PointsModel) -> None:
    gaps, full = card.columns[0], card.columns[1]

    assert gaps.n_rows[-1] == 600
    assert (full.n_rows[-1], full.points[-1], full.woe[-1]) == (0, 0, 0.0)


def test_contributions_are_the_points_lost_against_the_best_bins(card: PointsModel) -> None:
    best = sum(max(bins.points) for bins in card.columns) + card.base
    row = TEST.matrix[0]

    lost = card.contributions(row) * card.factor

    assert (lost >= 0).all()
    assert lost.sum() == pytest.approx(best - card.totals(TEST.matrix[:1])[0])


@pytest.mark.parametrize(
    "values",
    [np.full(3000, np.nan), np.zeros(3000), np.where(np.arange(3000) % 2, np.nan, 7.0)],
    ids=["never known", "always the same", "known or not"],
)
def test_a_column_with_nothing_to_part_costs_nothing_else(values: np.ndarray) -> None:
    matrix = TRAIN.matrix.copy()
    matrix[:, 2] = values

    card = Scorecard().fit(Sample(matrix, TRAIN.defaulted), TUNE, FREE)

    assert card.columns[2].edges == ()
    assert np.isfinite(card.raw_scores(TEST.matrix)).all()


def test_infinite_values_have_the_outermost_bins(card: PointsModel) -> None:
    rows = np.zeros((2, 3), dtype=np.float32)
    rows[:, 0] = [-np.inf, np.inf]

    first, last = card.totals(rows) - card.totals(np.zeros((1, 3), dtype=np.float32))

    points, zero = card.columns[0].points, card.columns[0].points[int(np.searchsorted(card.columns[0].edges, 0.0))]
    assert (first, last) == (points[0] - zero, points[-2] - zero)


def test_without_optbinning_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optbinning", None)

    with pytest.raises(SettingError, match=r"pip install 'loanlake\[scorecard\]'"):
        Scorecard().fit(TRAIN, TUNE, FREE)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_bins": 1}, "max_bins must be within 2 and 50: found 1"),
        ({"min_bin_share": 0.6}, "min_bin_share must be above 0 and at most 0.5: found 0.6"),
        ({"points_to_double": 0}, "points_to_double must be above 0: found 0"),
    ],
)
def test_settings_out_of_range_are_named(given: dict[str, float], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Scorecard(**given)  # type: ignore[arg-type]  # whole numbers too


def _is_in(value: float, words: str) -> bool:
    if words == "missing" or np.isnan(value):
        return words == "missing" and bool(np.isnan(value))
    if words.startswith("below "):
        return value < float(words.removeprefix("below "))
    if words.endswith(" and above"):
        return value >= float(words.removesuffix(" and above"))
    low, _, high = words.partition(" to below ")
    return float(low) <= value < float(high)
