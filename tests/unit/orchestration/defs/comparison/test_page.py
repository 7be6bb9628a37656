"""A comparison's page: the finding first, every figure with its meaning, and no claim that the split cannot bear."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ml.comparison.comparing import Comparison
from ml.comparison.figures import ModelFigures
from orchestration.defs.comparison.page import write_page
from tests.unit.ml.comparison.small_comparison import model_row, small_comparison
from warehouse.settings import Settings

PLOTS = {"ranking": b"\x89PNG", "gini_by_month": b"\x89PNG"}
SCORECARD, FOREST = model_row("scorecard", -0.01, 0.02), model_row("random_forest", 0.001, 0.003)


def page_of(home: Settings, comparison: Comparison) -> tuple[Path, str]:
    path = write_page(home, comparison, PLOTS)
    return path, path.read_text()


def test_the_finding_comes_first_then_plots_then_figures(home: Settings) -> None:
    path, page = page_of(home, small_comparison(SCORECARD, FOREST))

    assert path == home.reports / "comparisons" / "bank" / "bank-20240102T030405Z.html"
    order = ["Random forest is better than the champion", 'alt="ranking"', 'alt="gini by month"', "<small>2 × AUC − 1."]
    order += ["2023-01", "select 1", "Settings: scorecard"]
    assert [page.index(text) for text in order] == sorted(page.index(text) for text in order)


def test_each_difference_says_what_its_interval_shows(home: Settings) -> None:
    _, page = page_of(home, small_comparison(SCORECARD, FOREST, model_row("logistic", -0.03, -0.01)))

    for text in (
        "+0.0050 (-0.0100 to +0.0200): no gain",
        "+0.0020 (+0.0010 to +0.0030): better",
        "-0.0200 (-0.0300 to -0.0100): worse",
    ):
        assert f"<span>{text}</span>" in page


def test_folds_are_named_by_their_kind_and_matured_ones_name_the_walk(home: Settings) -> None:
    _, page = page_of(home, small_comparison(SCORECARD))

    folds = page[page.index("How far the figures scatter") : page.index("Gini by month of decision")]
    assert "<strong>matured</strong>: labels are known too late." in folds
    assert "<code>loanlake model walk-forward</code>" in folds
    assert "0.7000 ± 0.0283" in folds
    assert "150 loans, 30 defaults; learned from 900" in folds
    assert '<td data-model="information value"><span>0.123</span>' in folds


def test_what_balancing_brings_is_shown_where_it_was_compared(home: Settings) -> None:
    balanced = replace(
        SCORECARD, model="xgboost_smote", imbalance_auc_difference=-0.04, imbalance_auc_difference_low=-0.05,
        imbalance_auc_difference_high=-0.03, raw_ece=0.27, ece=0.01,
    )  # fmt: skip

    _, page = page_of(home, small_comparison(SCORECARD, balanced))
    _, without = page_of(home, small_comparison(SCORECARD))

    section = page[page.index("What balancing brings") : page.index("How far the figures scatter")]
    for text in ("-0.0400 (-0.0500 to -0.0300): worse", "0.2700", "0.0100"):
        assert f'<td data-model="xgboost smote"><span>{text}</span>' in section
    assert "What balancing brings" not in without


def test_without_folds_the_page_says_why(home: Settings) -> None:
    comparison = replace(small_comparison(SCORECARD, n_folds=0), folds=(), fold_reason="5 folds need about 32 defaults")
    models = [replace(row, auc_fold_mean=None) for row in comparison.models]

    _, page = page_of(home, replace(comparison, models=tuple(models)))

    assert "<p>No folds: 5 folds need about 32 defaults.</p>" in page


def test_a_random_split_is_never_called_out_of_time(home: Settings) -> None:
    _, page = page_of(home, small_comparison(SCORECARD, split_kind="random split", fold_kind="stratified"))

    assert "random split" in page
    assert "out of time" not in page


def test_matured_outcomes_are_not_passed_off_as_known_then(home: Settings) -> None:
    _, known = page_of(home, small_comparison(SCORECARD))
    _, page = page_of(home, small_comparison(SCORECARD, n_known_later=987))

    assert "The outcomes are matured" not in known
    assert "987 of the train and tune rows had an outcome that" in page


def test_a_champion_that_has_seen_test_loans_is_named(home: Settings) -> None:
    comparison = small_comparison(SCORECARD)
    seen = replace(comparison.models[0], n_test_seen=1_234)

    _, honest = page_of(home, comparison)
    _, page = page_of(home, replace(comparison, models=(seen, *comparison.models[1:])))

    assert "No model has seen one of them before." in honest
    assert "has learned from 1,234 of them" in page
    assert "No model has seen" not in page


def test_what_is_left_out_is_named(home: Settings) -> None:
    _, page = page_of(home, small_comparison(SCORECARD))

    assert "tab_transformer needs the package torch, which is not installed." in page


def test_it_needs_no_other_file_and_names_are_no_markup(home: Settings) -> None:
    _, page = page_of(home, small_comparison(SCORECARD, compared_by="<script>alert(1)</script>"))

    assert "<script>" not in page
    assert "src=" in page
    assert all(part.startswith('"data:image/png;base64,') for part in page.split("src=")[1:])
    assert "href=" not in page


@pytest.mark.parametrize("models", [(), (SCORECARD,)], ids=["champion alone", "with a family"])
def test_the_index_is_given_what_it_shows(home: Settings, models: tuple[ModelFigures, ...]) -> None:
    comparison = small_comparison(*models)

    path, _ = page_of(home, comparison)

    about = json.loads(path.with_suffix(".json").read_text())["about"]
    names = ["champion", *(["scorecard"] if models else [])]
    assert about == {
        "source": "bank",
        "compared_at": "2024-01-02 03:04",
        "models": names,
        "finding": comparison.finding,
    }
