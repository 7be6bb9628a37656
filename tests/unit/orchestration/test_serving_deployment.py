"""A run publishes what passed; what waits for a person's approval waits, and what is served goes on."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from ml.registry.approval import approve_once
from ml.registry.deployment import Deployment, read_deployment
from ml.registry.registered_version import record_version
from orchestration.defs.serving.assets import batch_decisions, deployment
from orchestration.defs.training.candidates import candidate_directory, current_candidate, set_current
from orchestration.lib.run_settings import RunSettings
from tests.registered_version import registered_version
from warehouse.settings import Settings

LENDER, NAME = "lending_club", "default_risk_lending_club"
of_lender = partial(registered_version, source=LENDER, name=NAME)


@pytest.fixture
def candidate(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 4 of the bank's model is registered, its gates passed, and approval is required."""
    monkeypatch.setenv("LOANLAKE_APPROVAL", "required")
    version = of_lender(version=4)
    record_version(home, version)
    directory = candidate_directory(home, LENDER, "f")
    directory.write_registration({"model_name": NAME, "model_version": 4})
    set_current(home, LENDER, directory)


def publish(**settings: Any) -> dg.ExecuteInProcessResult:
    resources = {"run_settings": RunSettings(**settings)}
    return dg.materialize([deployment], partition_key=LENDER, resources=resources, raise_on_error=False)


@pytest.mark.usefixtures("candidate")
def test_what_waits_for_approval_leaves_the_champion_in_service(
    home: Settings, in_service: Callable[..., Deployment]
) -> None:
    in_service(3, source=LENDER)

    result = publish()

    served = read_deployment(home, LENDER)
    [materialized] = result.asset_materializations_for_node("serving__deployment")
    assert result.success
    assert served is not None
    assert served.model_version == 3
    summary = str(materialized.metadata["summary"].value)
    assert summary.startswith(f"{NAME} version 3, {NAME} version 4 waits for approval")
    assert "`loanlake model approve 4 --lender lending_club --reason" in summary


@pytest.mark.usefixtures("candidate")
def test_what_was_approved_to_be_rolled_out_by_hand_is_not_published(
    home: Settings, in_service: Callable[..., Deployment]
) -> None:
    in_service(3, source=LENDER)
    approve_once(home, of_lender(version=4), reason="by canary", serve=False, by="key 1")

    result = publish()

    [materialized] = result.asset_materializations_for_node("serving__deployment")
    assert "version 4 was approved, to be rolled out by hand" in str(materialized.metadata["summary"].value)
    assert read_deployment(home, LENDER).model_version == 3


@pytest.mark.usefixtures("candidate")
def test_a_first_model_that_waits_for_approval_stops_the_run_and_says_so(home: Settings) -> None:
    result = publish()

    [failed] = [event for event in result.all_events if event.is_step_failure]
    assert "waits for approval (LOANLAKE_APPROVAL=required)" in str(failed.step_failure_data.user_failure_data)
    assert read_deployment(home, LENDER) is None


def test_a_refresh_of_a_lender_without_a_model_scores_nothing_and_says_so(home: Settings) -> None:
    done = dg.materialize([batch_decisions], partition_key=LENDER)

    (made,) = done.asset_materializations_for_node("serving__batch_decisions")
    assert made.metadata["applications_scored"].value == 0
    assert f"no model of source '{LENDER}' is served yet: `loanlake run {LENDER}`" in str(
        made.metadata["summary"].value
    )


def test_a_run_that_only_registers_a_first_model_succeeds_and_serves_nothing(
    home: Settings, monkeypatch: pytest.MonkeyPatch, candidate: None
) -> None:
    """What is downstream of a model in service is skipped: there is nothing to score or to measure."""
    monkeypatch.setenv("LOANLAKE_APPROVAL", "none")
    lineage = SimpleNamespace(lineage=None, metrics={})
    monkeypatch.setattr("orchestration.defs.serving.publishing.load_bundle", lambda _: lineage)

    result = publish(publish="never")

    assert result.success
    assert result.asset_materializations_for_node("serving__deployment") == []
    assert read_deployment(home, LENDER) is None
    found = current_candidate(home, LENDER).read_publication()
    assert found is not None
    assert "version 4 waits, since this run only registers" in found["text"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"publish": "always"}, "publish: always needs by and reason: found '' and ''"),
        ({"publish": "always", "by": "ann"}, "publish: always needs by and reason: found 'ann' and ''"),
        ({"publish": "perhaps"}, "publish must be one of auto, never, always, or empty: found 'perhaps'"),
    ],
)
def test_settings_of_a_run_that_cannot_be_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RunSettings(**settings)
