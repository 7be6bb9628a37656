"""Nothing is served by accident: a refresh that is no worse, a change that is better, or a person's word."""

from dataclasses import replace

import pytest

from ml.judging.evaluation import Comparison
from ml.judging.metrics import PairedDifference
from ml.judging.publication import Rival, changes, decide
from ml.training.lineage import Lineage

CHAMPION = Lineage(
    source="bank",
    fingerprint="one",
    lake_snapshot=10,
    training_set_sha256="a",
    feature_version="v2",
    contract_fingerprint="c2",
    settings={"exclude": ["zip"], "model": {"max_depth": 4, "seed": 1}},
    rows={"train": 4000},
    decided_from="2020-01-01T00:00:00",
    decided_to="2024-03-31T12:00:00",
    trained_at="2024-09-01T00:00:00+00:00",
    trained_by="tests",
    seconds=1.0,
)
REFRESH = replace(CHAMPION, fingerprint="two", training_set_sha256="b", decided_to="2024-04-30T12:00:00")
V3 = replace(REFRESH, feature_version="v3", contract_fingerprint="c3")
EQUAL, BETTER, WORSE, SEEMS_BETTER = (0.0, 0.004), (0.02, 0.008), (-0.02, 0.008), (0.010, 0.008)


def rival(auc: tuple[float, float], *, brier: float = 0.0) -> Rival:
    value, error = auc
    difference = PairedDifference(value, error, value - 1.96 * error, value + 1.96 * error, 0.5)
    return Rival(
        3, CHAMPION, Comparison(difference, PairedDifference(brier, 0.0005, brier - 0.001, brier + 0.001, 0.5))
    )


def test_a_first_model_is_published_by_its_gates_alone() -> None:
    decided = decide(REFRESH, None)

    assert (decided.action, decided.why) == ("publish", "first model of its lender: only the gates decide")


@pytest.mark.parametrize(("auc", "action"), [(EQUAL, "publish"), (BETTER, "publish"), (WORSE, "wait")])
def test_a_refresh_is_published_where_it_is_no_worse(auc: tuple[float, float], action: str) -> None:
    assert decide(REFRESH, rival(auc)).action == action


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"contract_fingerprint": "other"}, "another definition of features v2"),
        ({"settings": {**REFRESH.settings, "exclude": []}}, "setting exclude: none in place of zip"),
        (
            {"settings": {**REFRESH.settings, "model": {"max_depth": 2, "seed": 1}}},
            "setting model.max_depth: 2 in place of 4",
        ),
        ({"settings": {**REFRESH.settings, "family": "forest"}}, "setting family: forest in place of None"),
        ({"decided_to": "2024-03-01T00:00:00"}, "labels to 2024-03-01 only, the champion's to 2024-03-31"),
    ],
    ids=["definitions", "features left out", "settings", "family", "older labels"],
)
@pytest.mark.parametrize(("auc", "action"), [(EQUAL, "wait"), (SEEMS_BETTER, "wait"), (BETTER, "publish")])
def test_anything_else_must_be_better_by_a_paired_interval(
    change: dict[str, object], named: str, auc: tuple[float, float], action: str
) -> None:
    """A candidate trained without `annual_rate` replaced the champion nine minutes after a click."""
    decided = decide(replace(REFRESH, **change), rival(auc))  # type: ignore[arg-type]

    assert decided.action == action
    assert named in decided.why


@pytest.mark.parametrize(("auc", "action"), [(EQUAL, "shadow"), (SEEMS_BETTER, "shadow"), (BETTER, "publish")])
def test_another_version_of_the_features_begins_as_challenger(auc: tuple[float, float], action: str) -> None:
    decided = decide(V3, rival(auc))

    assert decided.action == action
    assert "features v3 in place of v2" in decided.why


def test_a_better_ranking_with_worse_probabilities_waits() -> None:
    """It would misprice every loan."""
    assert decide(replace(REFRESH, contract_fingerprint="other"), rival(BETTER, brier=0.003)).action == "wait"


def test_never_only_registers_also_a_first_model() -> None:
    assert [decide(REFRESH, each, mode="never").action for each in (None, rival(BETTER))] == ["wait", "wait"]


def test_always_is_a_persons_word_and_keeps_it() -> None:
    decided = decide(V3, rival(EQUAL), mode="always", reason="minutes 2026-11")

    assert (decided.action, decided.why) == ("publish", "by a person's decision: minutes 2026-11")


def test_figures_and_rival_are_in_the_reason() -> None:
    assert decide(REFRESH, rival(EQUAL)).why == (
        "refresh of version 3, no worse: AUC +0.0000, -0.0078 to +0.0078 against version 3"
    )


def test_rows_time_and_person_of_a_training_are_no_change() -> None:
    other = replace(REFRESH, lake_snapshot=99, rows={"train": 9}, trained_by="someone", seconds=9.0, git_commit="f00")

    assert changes(other, CHAMPION) == ()


def test_another_family_is_one_change_whatever_settings_each_has() -> None:
    trees = replace(CHAMPION, settings={"family": "xgboost", "model": {"max_depth": 4}, "logistic": {"l2": 100.0}})
    line = replace(REFRESH, settings={"family": "logistic", "model": {"l2": 9.0}, "logistic": {"l2": 9.0}})

    assert changes(line, trees) == ("setting family: logistic in place of xgboost",)


def test_a_refresh_stays_one_where_only_its_baseline_changed() -> None:
    trees = {"family": "xgboost", "model": {"max_depth": 4}}
    before = replace(CHAMPION, settings=trees | {"logistic": {"l2": 100.0}})

    assert changes(replace(REFRESH, settings=trees | {"logistic": {"l2": 9.0}}), before) == ()
