"""A search's rows in the lake, its plots and its page."""

from dataclasses import replace
from datetime import datetime

from ml.families.linear.logistic import LogisticRegression
from ml.search.pictures import draw_search
from ml.search.results import SearchLimits, SearchResult, SearchTrial, write_trials
from ml.search.scoring import FoldScore
from orchestration.defs.training.search_page import file_lines, write_search_page
from orchestration.doors.reports import index_page
from tests.model_factory import SETTINGS
from warehouse.lake.connection import connect
from warehouse.settings import Settings

LINE = replace(SETTINGS, model=LogisticRegression())


def fold(name: str, log_loss: float) -> FoldScore:
    return FoldScore(name, 100, 20, log_loss, 0.7, 0.1, 0.01, 0.05, 1.0, 2.0)


def trial(number: int, losses: tuple[float, ...], *, is_pruned: bool = False, stability: float = -0.1) -> SearchTrial:
    model = LogisticRegression(l2=100.0 * (number + 1))
    return SearchTrial(
        number=number,
        is_pruned=is_pruned,
        is_default=number == 0,
        values={"l2": model.l2, "cut": model.cut, "features_left_out": number},
        settings=replace(LINE, model=model, half_life_months=24.0),
        n_features=8 - number,
        left_out=("term_months",) * min(number, 1),
        folds=tuple(fold(f"fold {place}", loss) for place, loss in enumerate(losses)),
        excess={"calibration": -0.02, "stability": stability},
        finished_at=datetime(2026, 1, 2, 3, 4),
    )


RESULT = SearchResult(
    search_id="simulated-logistic-0123",
    source="simulated",
    family="logistic",
    feature_version="v1",
    lake_snapshot=12,
    training_set_sha256="ab",
    fold_kind="matured",
    fold_reason="labels are known too late",
    n_rows=1000,
    n_of=1000,
    limits=SearchLimits(),
    importance={"purpose": -0.001, "loan_to_income": 0.02},
    trials=(
        trial(0, (0.40, 0.44)),
        trial(1, (0.39, 0.43)),
        trial(2, (0.50,), is_pruned=True),
        trial(3, (0.30, 0.31), stability=0.2),
    ),
    stopped="4 trials",
    influence={"l2": 0.9, "cut": 0.1},
)
FINGERPRINTS = {each.number: f"print {each.number}" for each in RESULT.trials}


def test_the_best_trial_keeps_the_limits_and_was_measured_on_all_folds() -> None:
    assert RESULT.best == RESULT.trials[1]
    assert RESULT.finding == (
        "trial 1 has a log loss of 0.4100 on the folds, the present settings 0.4200: lower by 0.0100 with a "
        "standard error of 0.0000, in 2 of 2 folds"
    )


def test_a_gain_within_the_folds_spread_is_called_chance() -> None:
    uneven = replace(RESULT, trials=(RESULT.trials[0], trial(1, (0.36, 0.47))))

    assert uneven.finding.endswith("in 1 of 2 folds, which chance alone may give")


def test_a_search_that_finds_nothing_better_says_so() -> None:
    assert replace(RESULT, trials=RESULT.trials[:1]).finding.startswith("no gain: ")
    assert replace(RESULT, trials=RESULT.trials[3:]).finding.startswith("no trial ")


def test_a_search_has_its_rows_once_however_often_they_are_written(home: Settings) -> None:
    write_trials(home, replace(RESULT, trials=RESULT.trials[:2]), FINGERPRINTS)
    write_trials(home, RESULT, FINGERPRINTS)

    with connect(home) as con:
        rows = con.execute(
            "select trial, state, is_default, is_best, n_folds, round(log_loss, 4), missed_limits, left_out, "
            "fingerprint from models.search_trials order by trial"
        ).fetchall()
    assert rows == [
        (0, "complete", True, False, 2, 0.42, "", "", "print 0"),
        (1, "complete", False, True, 2, 0.41, "", "term_months", "print 1"),
        (2, "pruned", False, False, 1, 0.5, "", "term_months", "print 2"),
        (3, "complete", False, False, 2, 0.305, "stability", "term_months", "print 3"),
    ]


def test_the_page_has_the_finding_each_trial_and_lines_for_the_lender_s_file(home: Settings) -> None:
    plots = draw_search(RESULT)

    text = write_search_page(home, RESULT, plots).read_text(encoding="utf-8")

    assert sorted(plots) == ["history", "influence", "parallel_coordinates"]
    assert 'href="/searches/simulated/simulated-logistic-0123.html">logistic</a><td>4<td>trial 1' in index_page(home)
    assert "Trial 1 has a log loss of 0.4100" in text
    assert "2 ended after 1 folds" in text
    assert "out of time" not in text
    assert "\n".join(file_lines(RESULT.trials[1])) in text
    assert file_lines(RESULT.trials[1])[-1] == "  half_life_months: 24"
