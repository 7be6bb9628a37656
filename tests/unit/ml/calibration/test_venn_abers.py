"""The tabulated intervals against their definition: isotonic regression fitted again with the applicant in it."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from ml.calibration.venn_abers import VennAbers, fit_venn_abers
from warehouse.errors import BundleError

#: Few different scores, so that ties, gaps, and ends beyond all rows occur in each example.
_ROWS = st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=40)
_ASKED = [place / 24 for place in range(27)]


def _by_definition(raw: list[float], defaulted: list[bool], asked: float, outcome: bool) -> float:
    fitted = IsotonicRegression().fit([*raw, asked], [*defaulted, outcome])
    return float(fitted.predict([asked])[0])


@settings(max_examples=50, deadline=None)
@given(_ROWS)
def test_the_table_gives_what_fitting_again_with_the_applicant_gives(rows: list[tuple[int, bool]]) -> None:
    raw, defaulted = [score / 12 for score, _ in rows], [bad for _, bad in rows]

    low, high = fit_venn_abers(raw, defaulted).bounds(_ASKED)

    assert low == pytest.approx([_by_definition(raw, defaulted, each, False) for each in _ASKED], abs=1e-12)
    assert high == pytest.approx([_by_definition(raw, defaulted, each, True) for each in _ASKED], abs=1e-12)


def test_an_interval_by_hand() -> None:
    """Of .2 and of .4 one of two defaulted: a default at .3 joins the two above, a repaid loan the two below."""
    table = fit_venn_abers([0.2, 0.2, 0.4, 0.4], [False, True, False, True])

    low, high = table.bounds([0.1, 0.3, 0.5])

    assert low == pytest.approx([0.0, 1 / 3, 2 / 5])
    assert high == pytest.approx([3 / 5, 2 / 3, 1.0])


@settings(max_examples=50, deadline=None)
@given(_ROWS, st.lists(st.tuples(st.integers(0, 26), st.floats(0.01, 0.99)), min_size=1, max_size=20))
def test_one_value_gets_the_bits_that_many_get_and_lies_in_its_interval(
    rows: list[tuple[int, bool]], asked: list[tuple[int, float]]
) -> None:
    table = fit_venn_abers([score / 12 for score, _ in rows], [bad for _, bad in rows])
    raw, probability = [place / 24 for place, _ in asked], [each for _, each in asked]

    low, high = table.around(raw, probability)

    alone = [table.around_one(score, each) for score, each in zip(raw, probability, strict=True)]
    assert list(zip(low.tolist(), high.tolist(), strict=True)) == alone
    assert all(below <= each <= above for (below, above), each in zip(alone, probability, strict=True))


def test_json_carries_every_bit_and_only_steps() -> None:
    random = np.random.default_rng(5)
    raw = random.random(5000)
    table = fit_venn_abers(raw, random.random(5000) < raw / 3)

    again = VennAbers.from_dict(json.loads(json.dumps(table.to_dict())))

    assert again == table
    assert len(table.low_edges) + len(table.high_edges) < 2500


def test_a_table_of_another_shape_is_refused() -> None:
    with pytest.raises(BundleError, match="one value more than edges: found 1 and 1"):
        VennAbers((0.1,), (0.0,), (), (1.0,))
