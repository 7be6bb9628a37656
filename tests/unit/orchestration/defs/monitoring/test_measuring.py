"""Champion and challenger are measured each on its own decisions, and a version on trial is not published by a run."""

from dataclasses import replace

from ml.monitoring.samples import PREDICTIONS, SHADOW_PREDICTIONS
from ml.registry.registered_version import get_version, record_version
from ml.rollout.promotion import publish
from orchestration.defs.monitoring.measuring import monitored_versions, replaced_versions
from orchestration.lib.champions import champion_of, was_in_service
from tests.model_factory import MODEL_NAME, SOURCE, publish_model
from tests.second_version import VERSION, challenge_with_second
from warehouse.settings import Settings


def test_a_challenger_is_measured_on_what_it_decided_or_would_have(home: Settings) -> None:
    publish_model(home)
    challenge_with_second(home)
    in_shadow = monitored_versions(home, SOURCE)
    challenge_with_second(home, share=0.5)
    answering = monitored_versions(home, SOURCE)

    assert [(each.model.version, each.model.decisions) for each in in_shadow] == [
        (1, PREDICTIONS),
        (VERSION, SHADOW_PREDICTIONS),
    ]
    assert [each.model.decisions for each in answering] == [PREDICTIONS, PREDICTIONS]
    assert [each.bundle.contract.version for each in answering] == ["v1", "v2"]


def test_a_challenge_leaves_the_champion_champion(home: Settings) -> None:
    publish_model(home)
    challenge_with_second(home)

    champion = champion_of(home, SOURCE)

    assert champion is not None
    assert champion.model_version == 1


def test_a_run_does_not_publish_what_a_person_is_trying(home: Settings) -> None:
    publish_model(home)
    before = was_in_service(home, SOURCE, MODEL_NAME, VERSION)
    challenge_with_second(home)

    assert (before, was_in_service(home, SOURCE, MODEL_NAME, VERSION)) == (False, True)


def test_a_champion_that_was_replaced_is_graded_on_unless_it_is_archived(home: Settings) -> None:
    publish_model(home)
    challenge_with_second(home)
    while_on_trial = replaced_versions(home, SOURCE)
    publish(home, get_version(home, SOURCE, VERSION), by="ann")
    afterwards = replaced_versions(home, SOURCE)
    record_version(home, replace(get_version(home, SOURCE, 1), archived=True))

    assert (while_on_trial, [each.version for each in afterwards]) == ([], [1])
    assert replaced_versions(home, SOURCE) == []
