"""Plots are drawn for good data and bad, alike each time, and without pyplot. How they look was looked at."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread

from ml.judging.evaluation import ChampionScores, evaluate_scores, score_splits
from ml.judging.plots import _roc_points, draw_all
from tests.model_factory import CONTRACT
from tests.unit.ml.small_training_set import small_candidate

PNG = b"\x89PNG\r\n\x1a\n"


def _draw(**change: object) -> dict[str, bytes]:
    candidate, training_set = small_candidate()
    frame = training_set.frame.assign(**change)
    champion = ChampionScores(1, np.full((frame["split"] == "test").sum(), 0.2))
    scores = score_splits(candidate, replace(training_set, frame=frame), champion)
    return draw_all(evaluate_scores(candidate, scores, champion), scores)


def test_the_same_figures_give_the_same_bytes() -> None:
    """A plot in MLflow or Git that changes by itself hides the one that changed for a reason."""
    first = _draw()

    assert set(first) == {"roc", "calibration", "feature_importance", "score_distribution"}
    assert first == _draw()


@pytest.mark.parametrize("outcome", [True, False])
def test_loans_of_one_outcome_are_drawn_all_the_same(outcome: bool) -> None:
    """A plot that fails would fail the training run around it."""
    for png in _draw(is_default=outcome).values():
        assert png.startswith(PNG)


def test_one_probability_for_all_loans_is_drawn_all_the_same() -> None:
    features = dict.fromkeys(CONTRACT.feature_names, np.nan)

    for png in _draw(**features).values():
        assert png.startswith(PNG)


def test_a_picture_is_not_blank(tmp_path: object) -> None:
    for name, png in _draw().items():
        path = tmp_path / f"{name}.png"  # type: ignore[operator]
        path.write_bytes(png)

        pixels = imread(path)[..., :3]

        assert (pixels.min(axis=2) < 0.9).mean() > 0.005, name


def test_drawing_leaves_pyplot_alone() -> None:
    """pyplot opens a display and keeps every figure: neither belongs into a server process."""
    program = (
        "import sys, ml.judging.plots; ml.judging.plots._figure('a'); sys.exit('matplotlib.pyplot' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_thinned_curve_keeps_its_ends_and_its_area() -> None:
    random = np.random.default_rng(1)
    defaulted = random.random(50_000) < 0.2
    probabilities = random.random(50_000) + 0.3 * defaulted

    false_rate, true_rate = _roc_points(defaulted, probabilities)

    assert len(false_rate) <= 1001
    assert (false_rate[0], true_rate[0], false_rate[-1], true_rate[-1]) == (0, 0, 1, 1)
    area = np.trapezoid(true_rate, false_rate)
    assert area == pytest.approx(1 - (0.7**2) / 2, abs=0.01)
