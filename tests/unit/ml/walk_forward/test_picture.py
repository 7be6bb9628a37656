"""The picture is a PNG whatever was walked, the same for the same months."""

from dataclasses import replace
from io import BytesIO

import matplotlib.image
import pytest

from ml.walk_forward.picture import draw_walk
from ml.walk_forward.results import WalkedMonth
from tests.unit.ml.walk_forward.walked_months import walked_month

LABELLED = {"n_mature": 900, "n_defaults": 80, "default_rate": 0.09, "mean_probability": 0.1, "auc": 0.7, "brier": 0.08}
MONTHS = [walked_month(number, policy, **LABELLED) for policy in ("never", "monthly") for number in range(1, 7)]


@pytest.mark.parametrize(
    "months",
    [MONTHS, [replace(row, n_mature=20) for row in MONTHS], [walked_month(1, champion=None, score_psi=None)], []],
    ids=["judged", "few labels", "no champion", "nothing"],
)
def test_it_is_drawn(months: list[WalkedMonth]) -> None:
    png = draw_walk(months)

    height, width = matplotlib.image.imread(BytesIO(png)).shape[:2]
    assert (width > 800, height > 600) == (True, True)
    assert png == draw_walk(months)


def test_a_promotion_can_be_seen() -> None:
    assert draw_walk([replace(MONTHS[0], is_promoted=True), *MONTHS[1:]]) != draw_walk(MONTHS)
