"""A run publishes what the rule says, and whatever waits is named with what serves it; what is served goes on."""

from dataclasses import replace
from pathlib import Path

import pytest

from ml.bundle.bundle import Bundle
from ml.judging.evaluation import Comparison
from ml.judging.metrics import PairedDifference
from ml.registry.approval import approve_once
from ml.registry.deployment import read_deployment, read_deployments, read_history
from ml.registry.registered_version import RegisteredVersion, keep_version, record_version
from ml.rollout.promotion import publish, rollback
from orchestration.defs.serving import publishing
from orchestration.defs.serving.publishing import publish_candidate
from orchestration.defs.training.candidates import CandidateDirectory, candidate_directory, set_current
from tests.model_factory import MODEL_NAME, SOURCE, publish_model, register_model, shared_bundle
from tests.second_version import challenge_with_second, second_bundle
from warehouse.errors import GateRefusal
from warehouse.lenders import rules as lenders
from warehouse.settings import Settings


@pytest.fixture(autouse=True)
def without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("set_champion", "set_challenger", "drop_challenger"):
        monkeypatch.setattr(f"ml.registry.registry.{name}", lambda *_: None)
    monkeypatch.setattr("ml.rollout.promotion.tag_approval", lambda *_: None)


@pytest.fixture
def gain(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the candidate's AUC is more than the champion's, with a standard error of .004; to be changed."""
    value = [0.0]

    def compare(*_: object) -> Comparison:
        auc = PairedDifference(value[0], 0.004, value[0] - 0.008, value[0] + 0.008, 0.5)
        return Comparison(auc, PairedDifference(0.0, 0.001, -0.002, 0.002, 1.0))

    monkeypatch.setattr(publishing, "compare_with_champion", compare)
    return value


def candidate(settings: Settings, bundle: Bundle, version: int) -> RegisteredVersion:
    """Make a bundle the source's current candidate, registered and passed."""
    directory = candidate_directory(settings, SOURCE, f"{version}")
    _link(bundle.directory, directory)
    directory.write_registration({"model_name": MODEL_NAME, "model_version": version})
    set_current(settings, SOURCE, directory)
    return register_model(settings, bundle, version=version)


def _link(bundle: Path, directory: CandidateDirectory) -> None:
    directory.path.mkdir(parents=True)
    directory.bundle.symlink_to(bundle)


def run(settings: Settings, **options: object) -> tuple[str, str]:
    given = {"mode": None, "reason": "", "by": "", **options}
    outcome = publish_candidate(settings, SOURCE, **given)  # type: ignore[arg-type]
    return outcome.word, outcome.text


def served_version(settings: Settings) -> int | None:
    served = read_deployment(settings, SOURCE)
    return served.model_version if served else None


def test_a_first_model_is_published_by_whoever_ran_it(home: Settings) -> None:
    candidate(home, shared_bundle(), 1)

    word, text = run(home, by="ann")

    [change] = read_history(home, SOURCE)
    assert (word, change.by, change.why) == ("published", "ann", "first model of its lender: only the gates decide")
    assert text == f"published now, {change.why}"


def test_a_candidate_beside_the_current_one_is_decided_about_by_itself(home: Settings, gain: list[float]) -> None:
    """Of `loanlake model train`: the main job's candidate stays its current one, and is not what is published."""
    candidate(home, shared_bundle(), 1)
    run(home)
    beside = candidate_directory(home, SOURCE, "beside")
    _link(shared_bundle(family="logistic").directory, beside)
    beside.write_registration({"model_name": MODEL_NAME, "model_version": 3})
    register_model(home, shared_bundle(family="logistic"), version=3)
    gain[0] = 0.05

    word, text = run(home, directory=beside)

    assert (word, served_version(home)) == ("published", 3)
    assert "better by a paired 95 % interval" in text


def test_a_run_that_no_person_asked_for_is_dagsters(home: Settings) -> None:
    candidate(home, shared_bundle(), 1)

    run(home)

    assert read_history(home, SOURCE)[-1].by == "dagster"


def test_a_refresh_takes_the_champions_place(home: Settings, gain: list[float]) -> None:
    publish_model(home, version=1)
    candidate(home, shared_bundle(seed=8), 2)

    word, text = run(home)

    assert (word, served_version(home)) == ("published", 2)
    assert text.startswith("published now, refresh of version 1, no worse: AUC +0.0000")


def test_a_refresh_that_is_worse_than_a_newer_champion_waits(home: Settings, gain: list[float]) -> None:
    """Its gates passed beside an older one."""
    publish_model(home, version=1)
    candidate(home, shared_bundle(seed=8), 2)
    gain[0] = -0.02

    word, text = run(home)

    assert (word, served_version(home)) == ("waiting", 1)
    assert f"`loanlake model promote 2 --lender {SOURCE} --reason …` serves it" in text


def test_new_features_that_are_not_shown_to_be_better_begin_in_shadow(home: Settings, gain: list[float]) -> None:
    publish_model(home, version=1)
    candidate(home, second_bundle(), 2)

    word, text = run(home, by="ann")
    again = run(home)

    served = read_deployment(home, SOURCE)
    assert served is not None
    assert served.challenger is not None
    assert (word, served.model_version, served.challenger.mode) == ("in shadow", 1, "shadow")
    assert "not shown to be better: AUC +0.0000" in read_history(home, SOURCE)[-1].why
    assert f"`loanlake run {SOURCE} --feature-version v1` refreshes the champion" in text
    assert again == ("unchanged", "nothing new to publish")


def test_new_features_that_are_better_are_published(home: Settings, gain: list[float]) -> None:
    publish_model(home, version=1)
    candidate(home, second_bundle(), 2)
    gain[0] = 0.02

    assert (run(home)[0], served_version(home)) == ("published", 2)


def test_a_challenger_that_runs_already_is_left_alone(home: Settings, gain: list[float]) -> None:
    publish_model(home, version=1)
    challenge_with_second(home)
    candidate(home, second_bundle(), 3)

    word, text = run(home)

    served = read_deployment(home, SOURCE)
    assert served is not None
    assert served.challenger is not None
    assert (word, served.challenger.deployment.model_version) == ("waiting", 2)
    assert "a challenger runs already" in text


def test_always_publishes_by_the_name_and_reason_of_a_person(home: Settings, gain: list[float]) -> None:
    publish_model(home, version=1)
    candidate(home, second_bundle(), 2)

    word, _ = run(home, mode="always", reason="minutes 2026-11", by="ann")

    change = read_history(home, SOURCE)[-1]
    assert (word, change.by, change.why) == ("published", "ann", "by a person's decision: minutes 2026-11")


def test_never_only_registers(home: Settings) -> None:
    candidate(home, shared_bundle(), 1)

    word, text = run(home, mode="never")

    assert (word, served_version(home)) == ("waiting", None)
    assert f"{MODEL_NAME} version 1 waits, since this run only registers (publish: never)" in text


@pytest.mark.parametrize("where", ["lender", "platform"])
def test_never_is_a_setting_of_lender_and_platform_that_a_run_may_overrule(
    home: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
) -> None:
    monkeypatch.setattr(lenders, "DIRECTORY", tmp_path)
    settings = home
    if where == "lender":
        (tmp_path / f"{SOURCE}.yml").write_text("publish: {mode: never}\n")
    else:
        settings = replace(home, publish="never")
    candidate(settings, shared_bundle(), 1)

    words = [run(settings)[0], run(settings, mode="auto")[0]]

    assert words == ["waiting", "published"]


def test_a_version_that_a_person_took_back_is_not_published_again(home: Settings, gain: list[float]) -> None:
    publish_model(home, version=1)
    candidate(home, shared_bundle(seed=8), 2)
    run(home)
    rollback(home, SOURCE, by="ann", why="declines too many")

    again = run(home, mode="always", reason="by mistake", by="ann")

    assert (again, served_version(home)) == (("unchanged", "nothing new to publish"), 1)


def test_an_approved_version_is_published_by_the_person_who_approved_it(home: Settings, gain: list[float]) -> None:
    publish_model(home, version=1)
    second = candidate(home, second_bundle(), 2)
    approve_once(home, second, reason="minutes", by="key 1")

    word, _ = run(home)

    assert (word, read_history(home, SOURCE)[-1].by) == ("published", "key 1")


def test_a_publication_leaves_another_lenders_model_in_service(home: Settings) -> None:
    union = replace(register_model(home, shared_bundle(), version=9), source="union", name="default_risk_union")
    keep_version(home, union, shared_bundle())
    publish(home, union, by="tests")
    candidate(home, shared_bundle(seed=8), 2)

    word, text = run(home)

    assert (word, text) == ("published", "published now, first model of its lender: only the gates decide")
    assert [(each.source, each.model_version) for each in read_deployments(home)] == [(SOURCE, 2), ("union", 9)]


def test_a_refused_candidate_is_not_published_by_anybodys_word(home: Settings) -> None:
    version = candidate(home, shared_bundle(), 1)
    record_version(home, replace(version, refused_by=("auc_reaches_floor",), gate_messages=("No.",)))

    with pytest.raises(GateRefusal, match="version 1 was refused by auc_reaches_floor"):
        run(home, mode="always", reason="I insist", by="ann")


def test_the_outcome_lies_beside_the_candidate_with_the_rule(home: Settings) -> None:
    candidate(home, shared_bundle(), 1)
    run(home)

    found = candidate_directory(home, SOURCE, "1").read_publication()

    assert found is not None
    assert found["word"] == "published"
    assert "only if it is better by a paired 95 % interval" in found["rule"]
