"""Plots of a comparison: alike each time, and drawn also where there is little to show. How they look was looked at."""

from dataclasses import replace

from ml.comparison.pictures import draw_comparison, styles
from tests.unit.ml.comparison.small_comparison import model_row, small_comparison
from warehouse.lenders.family_names import FAMILY_NAMES

PNG = b"\x89PNG\r\n\x1a\n"


def test_the_same_comparison_gives_the_same_bytes() -> None:
    comparison = small_comparison(model_row("scorecard", -0.01, 0.02), model_row("random_forest", 0.01, 0.02))

    first = draw_comparison(comparison)

    assert set(first) == {"ranking", "gini_by_month", "calibration"}
    assert first == draw_comparison(comparison)


def test_figures_that_are_missing_are_drawn_around() -> None:
    """Test loans of one outcome have no AUC and no month with a Gini."""
    unknown = replace(model_row("scorecard"), auc=None, auc_low=None, auc_high=None)
    comparison = replace(small_comparison(unknown), months=())

    for png in draw_comparison(comparison).values():
        assert png.startswith(PNG)


def test_a_comparison_of_every_family_balanced_too_has_a_style_for_each() -> None:
    models = [f"{family}{how}" for family in FAMILY_NAMES for how in ("", "_smote", "_class_weights")]
    comparison = small_comparison(*(model_row(model, -0.01, 0.02) for model in models))

    found = styles(comparison)

    assert len(set(found.values())) == len(found) == len(models) + 1
