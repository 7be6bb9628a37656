"""Information values of a card's features, by hand, and in the lake once for each registered version."""

from math import log

import pytest

from ml.bundle.bundle import Bundle
from ml.families.linear.scorecard_table import Bins
from ml.registry.information_values import categories, information_values, record_information_values
from tests.model_factory import shared_bundle
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings


@pytest.fixture
def card() -> Bundle:
    return shared_bundle(family="scorecard")


def test_a_numbers_value_is_that_of_the_printed_card(card: Bundle) -> None:
    found = {value.feature: value for value in information_values(card)}

    bins = card.read_model().columns[card.design_matrix.columns.index("loan_to_income")]  # type: ignore[attr-defined]  # a card
    assert set(found) == {feature.name for feature in card.design_matrix.features}
    assert found["loan_to_income"].information_value == bins.information_value > 0.1
    assert found["loan_to_income"].n == sum(bins.n_rows)
    assert found["loan_to_income"].missing_share == pytest.approx(0.1, abs=0.03)
    assert [value.information_value for value in information_values(card)] == sorted(
        (value.information_value for value in found.values()), reverse=True
    )


def test_a_category_has_a_bin_a_value_and_one_for_the_others() -> None:
    """100 loans: 40 cars with 10 defaults, 30 flats with 3, 20 rare ones with 2, 10 missing with 5."""
    cars = Bins((0.5,), (), (50, 40, 10), (5, 10, 5), (0.0, 0.0, 0.0))
    flats = Bins((0.5,), (), (60, 30, 10), (12, 3, 5), (0.0, 0.0, 0.0))
    rare = Bins((), (), (90, 10), (15, 5), (0.0, 0.0))

    assert categories([cars, flats, rare]) == [(40, 10), (30, 3), (20, 2), (10, 5)]


def test_the_value_of_two_bins_by_hand() -> None:
    """Half a loan more of each kind keeps the evidence finite."""
    bins = Bins((1.0,), (), (100, 100, 0), (10, 30, 0), (9.0, 9.0, 9.0))

    first, second = log((10.5 / 40.5) / (90.5 / 160.5)), log((30.5 / 40.5) / (70.5 / 160.5))
    assert bins.information_value == pytest.approx((10 / 40 - 90 / 160) * first + (30 / 40 - 70 / 160) * second)


def test_a_registered_card_has_its_rows_once_and_another_family_none(home: Settings, card: Bundle) -> None:
    with writer("an empty lake", home) as con:
        con.execute("select 1")

    for _ in range(2):
        record_information_values(home, card, name="default_risk_simulated", version=3)
    record_information_values(home, shared_bundle(), name="default_risk_simulated", version=4)

    with connect(home) as con:
        rows = con.execute(
            "select model_version, comparison_id, feature, information_value from models.information_values"
        ).fetchall()
    assert sorted(rows) == sorted((3, None, each.feature, each.information_value) for each in information_values(card))
    assert information_values(shared_bundle()) == ()
