"""One scorer for requests, batches and replays: the same bits from each way in, and reasons that add up."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.bundle.bundle import load_bundle
from ml.bundle.scorer import MOST_REASONS, Score, Scorer, principal
from tests.model_factory import CONTRACT, FAMILIES, input_rows, shared_bundle

#: What an API process must not pay for: seconds of import each, and hundreds of megabytes together.
HEAVY = ("pandas", "mlflow", "duckdb", "dagster", "xgboost", "sklearn", "scipy", "pyarrow", "matplotlib", "onnx")


@pytest.fixture(scope="module", params=FAMILIES)
def scorer(request: pytest.FixtureRequest) -> Scorer:
    return Scorer(shared_bundle(family=request.param))


@pytest.fixture(scope="module")
def vectors(scorer) -> list[tuple[object, ...]]:
    return [scorer.features(row) for row in input_rows(400, seed=11)]


@pytest.fixture(scope="module")
def scores_alone(scorer, vectors) -> list[Score]:
    return [scorer.score(vector) for vector in vectors]


def test_features_are_the_contracts_in_its_order(scorer):
    inputs = {
        **dict.fromkeys((column.name for column in CONTRACT.inputs), None),
        "decided_at": pd.Timestamp("2024-03-15").to_pydatetime(),
        "requested_amount": 9000.0,
        "annual_income": 36000.0,
        "term_months": 36,
        "purpose": "car",
        "oldest_account_on": pd.Timestamp("2014-03-01").date(),
    }

    assert scorer.features(inputs) == (9000.0, 0.25, 36, "car", None, 120, None, None)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 399), min_size=1, max_size=200))
def test_a_block_of_any_size_scores_as_its_rows_do_alone(scorer, vectors, scores_alone, chosen):
    """To the bit, of each family, by the served form below 64 rows and by the model itself from there on."""
    rows = [vectors[place] for place in chosen]
    matrix = np.concatenate([scorer.bundle.design_matrix.encode_row(row) for row in rows])

    scores = scorer.score_matrix(matrix)

    alone = [scores_alone[place] for place in chosen]
    assert scores.raw.astype(float).tolist() == [score.raw for score in alone]
    assert scores.probability.tolist() == [score.probability for score in alone]
    assert list(zip(scores.low.tolist(), scores.high.tolist(), strict=True)) == [
        (score.low, score.high) for score in alone
    ]
    assert scores.bands == [score.band for score in alone]
    assert scores.decisions == [score.decision for score in alone]
    points = [None] * len(rows) if scores.points is None else scores.points.tolist()
    assert points == [score.points for score in alone]


def test_an_interval_holds_its_probability_and_never_reorders_applicants(scores_alone):
    by_probability = sorted(scores_alone, key=lambda score: score.raw)

    lows, highs = [score.low for score in by_probability], [score.high for score in by_probability]

    assert lows == sorted(lows)
    assert highs == sorted(highs)
    assert all(score.low <= score.probability <= score.high for score in scores_alone)


def test_an_uncertain_decision_is_left_to_a_person_who_reads_the_reasons(scorer, vectors, scores_alone):
    """One at a time and in a block; the same applicant is decided where the lender's file refers none."""
    middle = sorted(score.probability for score in scores_alone)[200]
    policy = replace(scorer.bundle.policy, cut_off=middle, refer_width=0.0)
    referring = Scorer(replace(scorer.bundle, policy=policy))
    across = [score.low < middle < score.high for score in scores_alone]
    matrix = np.concatenate([scorer.bundle.design_matrix.encode_row(vector) for vector in vectors])

    scores = referring.score_matrix(matrix)

    assert 0 < sum(across) < len(across)
    assert [decision == "refer" for decision in scores.decisions] == across == scores.is_referred.tolist()
    assert [referring.score(vector).decision for vector in vectors] == scores.decisions
    logged = referring.logged_reasons(matrix[across], referring.score_matrix(matrix[across]), of_approved=None)
    assert None not in logged


def test_only_a_scorecard_has_points_and_they_rank_as_its_scores_do(scorer, scores_alone):
    points = [score.points for score in scores_alone]

    if scorer.bundle.family.name != "scorecard":
        assert set(points) == {None}
        return
    by_points = sorted(scores_alone, key=lambda score: score.points)
    assert [score.raw for score in by_points] == sorted((score.raw for score in scores_alone), reverse=True)
    assert len(set(points)) > 10


def test_reasons_are_the_heaviest_contributions_towards_default(scorer, vectors):
    texts = {feature.name: feature.reason for feature in CONTRACT.features}
    complete = [vector for vector in vectors if None not in vector]
    for vector in complete[:50]:
        row = scorer.bundle.design_matrix.encode_row(vector)[0]
        contributions = sorted(scorer.contributions(row).values(), reverse=True)
        adverse = sum(value for value in contributions if value > 0)
        told = [value for value in contributions if value > 0 and value >= 0.05 * adverse] or contributions[:1]

        reasons = scorer.reasons(vector)

        assert [reason.contribution for reason in reasons] == told[:MOST_REASONS]
        assert all(reason.text == texts[reason.feature] for reason in reasons)


def test_contributions_by_feature_add_up_to_the_raw_score(scorer, vectors):
    expected = scorer.bundle.open_served().expected
    for vector in vectors[:50]:
        row = scorer.bundle.design_matrix.encode_row(vector)[0]

        total = expected + sum(scorer.contributions(row).values())

        assert total == pytest.approx(scorer.score(vector).raw, abs=1e-5)


def test_a_missing_value_is_not_told_as_a_fault(scorer, vectors):
    """Prevents "Recent statements were past due" to somebody whose statements nobody has."""
    told = [
        (vector[CONTRACT.feature_names.index(reason.feature)], reason.text)
        for vector in vectors
        if None in vector
        for reason in scorer.reasons(vector)
    ]

    assert all(text.startswith("Information is missing: ") == (value is None) for value, text in told)
    assert any(value is None for value, _ in told)


def test_features_that_share_a_text_are_told_once(scorer, vectors):
    """Prevents a notice that gives the same reason twice and so hides a third."""
    bundle = scorer.bundle
    features = tuple(replace(feature, reason="One reason") for feature in CONTRACT.features)
    scorer = Scorer(replace(bundle, contract=replace(CONTRACT, features=features)))
    vector = max((each for each in vectors if None not in each), key=lambda each: scorer.score(each).raw)

    reasons = scorer.reasons(vector)

    assert [reason.text for reason in reasons] == ["One reason"]


def test_a_process_scores_without_the_heavy_packages(scorer, vectors):
    """Prevents a slow start and a fat API process: a fresh interpreter loads, scores and explains."""
    declined = max(vectors, key=lambda each: scorer.score(each).raw)
    program = (
        "import sys, pathlib\n"
        "from datetime import date, datetime\n"
        "from ml.bundle.bundle import load_bundle\n"
        "from ml.bundle.scorer import Scorer\n"
        "import ml.registry.deployment, ml.commands\n"
        f"scorer = Scorer(load_bundle(pathlib.Path({str(scorer.bundle.directory)!r})))\n"
        f"features = {declined!r}\n"
        "print(repr(scorer.score(features).probability), len(scorer.reasons(features)))\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ}, timeout=60
    )

    scored, heavy = done.stdout.splitlines()
    assert heavy == "[]"
    assert scored == f"{scorer.score(declined).probability!r} {len(scorer.reasons(declined))}"


def test_a_bundle_loaded_again_scores_the_same(scorer, vectors):
    again = Scorer(load_bundle(scorer.bundle.directory))

    assert [again.score(vector) for vector in vectors] == [scorer.score(vector) for vector in vectors]


@pytest.mark.parametrize(
    ("contributions", "told"),
    [
        pytest.param({"a": 0.009, "b": 0.6, "c": 0.3}, ["b", "c"], id="a negligible one is not told"),
        pytest.param({"a": 0.05, "b": 0.95}, ["b", "a"], id="the least share is told"),
        pytest.param({"a": 0.2, "b": 0.9, "c": -5.0}, ["b", "a"], id="what speaks for the applicant weighs nothing"),
        pytest.param(dict.fromkeys("abcdefghijklmnopqrstuvwxy", 0.01), ["a"], id="many small ones leave one"),
        pytest.param({"a": -0.3, "b": -0.1}, ["b"], id="a decline owes one even where nothing speaks against"),
    ],
)
def test_a_reason_has_a_twentieth_of_what_speaks_against_the_applicant(contributions, told):
    """Prevents a notice that tells an applicant to mend what moved the score by 0.009."""
    assert [name for name, _ in principal(contributions.items(), least_share=0.05)] == told
