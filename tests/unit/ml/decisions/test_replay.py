"""A replay notices one bit, whatever part of a decision it is in, and the commands' exit codes can be trusted."""

import json
import math
import shutil
from datetime import datetime

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from ml.bundle.logged_values import dump_features, dump_reasons
from ml.bundle.scorer import Scorer
from ml.commands import end_challenge, start_challenge
from ml.commands import promote as promote_command
from ml.commands import replay as replay_command
from ml.commands import rollback as rollback_command
from ml.decisions.replay import replay, replay_decision
from ml.registry.deployment import read_history
from tests.estimated_family import BOUND, estimated_bundle
from tests.model_factory import MODEL_NAME, input_rows, publish_model, shared_bundle
from warehouse.decision_log import Decision, append, connect, create
from warehouse.decision_log.json_text import dump_values
from warehouse.errors import BundleError, NotFoundError
from warehouse.settings import Settings


@pytest.fixture(scope="module")
def family() -> str:
    """One with points; tests/integration/test_every_family.py replays the decisions of each."""
    return "scorecard"


@pytest.fixture(scope="module")
def scorer(family: str) -> Scorer:
    return Scorer(shared_bundle(family=family))


@pytest.fixture(scope="module")
def declined(scorer) -> Decision:
    """An online decision to decline, as the API logs it."""
    inputs = max(input_rows(200), key=lambda row: scorer.score(scorer.features(row)).raw)
    features = scorer.features(inputs)
    score = scorer.score(features)
    return Decision(
        decision_id="d-1",
        decided_at=datetime(2024, 1, 2, 3, 4, 5),
        source="simulated",
        application_id=str(inputs["application_id"]),
        borrower_id=None,
        inputs=dump_values(inputs),
        features=dump_features(features, scorer.contract),
        raw_score=score.raw,
        points=score.points,
        probability=score.probability,
        probability_low=score.low,
        probability_high=score.high,
        band=score.band,
        decision=score.decision,
        reasons=dump_reasons(scorer.reasons(features)),
        model_name=MODEL_NAME,
        model_version=1,
        feature_version="v1",
        route="online",
        status="scored",
    )


def _log(settings: Settings, decision: Decision) -> None:
    create(settings)
    connection = connect(settings)
    append(connection, [decision])
    connection.close()


def test_a_decision_replays_equal(scorer, declined):
    found = replay_decision(declined, scorer)

    assert found.equal
    assert found.decision.decision == "decline"
    assert 1 <= len(found.recomputed.reasons) <= 4


@pytest.mark.parametrize("column", ["raw_score", "probability", "probability_low", "probability_high"])
def test_one_bit_of_a_score_is_a_difference(scorer, declined, column):
    logged = math.nextafter(getattr(declined, column), math.inf)

    found = replay_decision(msgspec.structs.replace(declined, **{column: logged}), scorer)

    assert [difference.what for difference in found.differences] == [column]
    assert found.differences[0].logged == logged


def test_a_batchs_score_is_held_to_its_familys_bound_and_all_else_to_the_bit(monkeypatch, declined):
    """A block may round otherwise than a row; what a batch answered must still follow from its own score."""
    scorer = Scorer(estimated_bundle(monkeypatch))
    rows = [scorer.features(inputs) for inputs in input_rows(200)]
    matrix = np.concatenate([scorer.bundle.design_matrix.encode_row(row) for row in rows])
    scores = scorer.score_matrix(matrix)
    alone = np.array([scorer.score(row).raw for row in rows])
    place = int(np.flatnonzero(scores.raw != alone)[0])
    reasons = scorer.logged_reasons(matrix, scores, of_approved="[]")
    logged = msgspec.structs.replace(
        declined,
        inputs=dump_values(input_rows(200)[place]),
        features=dump_features(rows[place], scorer.contract),
        raw_score=float(scores.raw[place]),
        points=None,
        probability=float(scores.probability[place]),
        probability_low=float(scores.low[place]),
        probability_high=float(scores.high[place]),
        band=scores.bands[place],
        decision=scores.decisions[place],
        reasons=reasons[place],
        route="table_batch",
    )

    found = replay_decision(logged, scorer)

    assert found.equal
    assert 0 < found.raw_difference <= BOUND
    assert "within the family's bound of 0.0001; all else to the bit" in found.text
    beyond = msgspec.structs.replace(logged, raw_score=logged.raw_score + 2 * BOUND)
    assert "DIFFERENT in raw_score" in replay_decision(beyond, scorer).text
    alone = msgspec.structs.replace(logged, route="online")
    assert "DIFFERENT in raw_score" in replay_decision(alone, scorer).text
    wrong = msgspec.structs.replace(logged, probability=math.nextafter(logged.probability, 1))
    assert replay_decision(wrong, scorer).text == "DIFFERENT in probability"


def test_a_changed_input_shows_in_what_follows_from_it(scorer, declined):
    inputs = json.loads(declined.inputs) | {"requested_amount": 100.0}

    found = replay_decision(msgspec.structs.replace(declined, inputs=json.dumps(inputs)), scorer)

    assert not found.equal
    assert {"features.requested_amount", "raw_score", "probability"} <= {each.what for each in found.differences}


def test_a_changed_reason_is_a_difference(scorer, declined):
    reasons = json.loads(declined.reasons)
    reasons[0]["contribution"] = math.nextafter(reasons[0]["contribution"], 0)

    found = replay_decision(msgspec.structs.replace(declined, reasons=json.dumps(reasons)), scorer)

    assert [difference.what for difference in found.differences] == ["reasons"]


def test_a_decision_replays_with_the_version_that_made_it(home, family, declined):
    """Prevents a replay with whatever is served now."""
    publish_model(home, version=1, family=family)
    publish_model(home, version=2, seed=8, family="logistic")
    _log(home, declined)

    assert replay(home, "d-1").equal
    _log(home, msgspec.structs.replace(declined, decision_id="d-2", model_version=2))
    assert not replay(home, "d-2").equal


def test_a_replay_without_its_bundle_says_what_to_do(home, family, declined):
    deployment = publish_model(home, family=family)
    _log(home, declined)
    shutil.rmtree(deployment.bundle_directory(home))

    with pytest.raises(NotFoundError, match=f"needs the bundle of {MODEL_NAME} version 1"):
        replay(home, "d-1")


def test_a_replay_with_a_changed_bundle_is_refused(home, family, declined):
    deployment = publish_model(home, family=family)
    _log(home, declined)
    path = deployment.bundle_directory(home) / "calibrator.json"
    path.chmod(0o644)
    path.write_text(path.read_text().replace("0.", "0.1", 1))

    with pytest.raises(BundleError, match=r"calibrator\.json was changed"):
        replay(home, "d-1")


def test_the_command_ends_with_0_where_the_replay_is_equal(home, family, declined):
    publish_model(home, family=family)
    _log(home, declined)

    result = CliRunner().invoke(replay_command, ["d-1"])

    assert result.exit_code == 0, result.output
    assert "features         8 of 8 equal" in result.output
    assert result.output.rstrip().endswith("equal to the bit")


def test_the_command_ends_with_1_and_names_what_differs(home, family, declined):
    publish_model(home, family=family)
    _log(home, msgspec.structs.replace(declined, band="low"))

    result = CliRunner().invoke(replay_command, ["d-1"])

    assert result.exit_code == 1
    assert "band: logged 'low', now " in result.output
    assert result.output.rstrip().endswith("DIFFERENT in band")


def test_the_rollback_command_says_what_is_served(home, monkeypatch):
    monkeypatch.setattr("ml.registry.registry.set_champion", lambda *_: None)
    publish_model(home, version=1)
    publish_model(home, version=2)

    result = CliRunner().invoke(rollback_command, ["--reason", "declines too many", "--by", "ann"])

    assert result.exit_code == 0, result.output
    assert f"serving {MODEL_NAME} version 1" in result.output
    change = read_history(home, "simulated")[-1]
    assert (change.action, change.by, change.why) == ("rollback", "ann", "declines too many")


@pytest.mark.parametrize(
    "command",
    [[promote_command, "2"], [rollback_command], [end_challenge], [start_challenge, "2", "--shadow"]],
)
@pytest.mark.parametrize("reason", [[], ["--reason", " "]], ids=["none", "blank"])
def test_what_is_served_is_not_changed_without_a_reason(home, monkeypatch, command, reason):
    monkeypatch.setenv("LOANLAKE_HOME", str(home.home))
    publish_model(home, version=1)
    publish_model(home, version=2)

    result = CliRunner().invoke(command[0], [*command[1:], *reason])

    assert result.exit_code == 2, result.output
    assert "--reason" in result.output
    assert len(read_history(home, "simulated")) == 2
