"""Which versions keep their snapshot: what is deployed or could be, until someone archives it."""

from datetime import timedelta

from ml.registry.deployment import read_deployment
from ml.registry.live_models import live_models
from tests.model_factory import MODEL_NAME, publish_model
from tests.second_version import challenge_with_second
from warehouse.settings import Settings


def test_what_is_deployed_and_what_a_rollback_would_serve_is_live(home: Settings) -> None:
    publish_model(home, version=1)
    publish_model(home, version=2, seed=8)

    found = live_models(home, retention=timedelta(0))

    assert [(model.model_version, model.why) for model in found] == [
        (2, "deployed"),
        (1, "a rollback would serve it"),
    ]
    assert {model.model_name for model in found} == {MODEL_NAME}
    assert all(model.snapshot > 0 for model in found)


def test_a_version_on_trial_is_live(home: Settings) -> None:
    publish_model(home, version=1)
    challenge_with_second(home)

    found = live_models(home, retention=timedelta(0))

    assert [(model.model_version, model.why) for model in found] == [(2, "on trial"), (1, "deployed")]


def test_a_home_without_models_has_none_live_and_gets_no_registry(home: Settings) -> None:
    assert live_models(home, retention=timedelta(0)) == []
    assert read_deployment(home, "simulated") is None
    assert not (home.home / "mlflow").exists()
