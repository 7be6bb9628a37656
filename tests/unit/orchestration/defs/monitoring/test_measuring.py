"""Champion and challenger are measured each on its own decisions, and a version on trial is not published by a run."""

from ml.monitoring.samples import PREDICTIONS, SHADOW_PREDICTIONS
from orchestration.defs.monitoring.measuring import monitored_versions
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
