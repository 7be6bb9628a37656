"""A person's override holds for refreshes of what they decided about, and for nothing else."""

from dataclasses import asdict, replace

import pytest

from ml.judging.gate import Override
from ml.registry.approval import Approval
from ml.registry.carried_overrides import carried_overrides
from ml.training.lineage import Lineage
from tests.model_factory import MODEL_NAME, SOURCE, publish_model, shared_bundle
from warehouse.files.json_lines import append_line
from warehouse.settings import Settings

GATE = "ensemble_beats_its_best_member"


@pytest.fixture
def overridden(home: Settings) -> Settings:
    """Version 1, an ensemble that a person let in, and version 2, its refresh, in service."""
    publish_model(home, family="ensemble")
    for version, gates in ((1, (GATE,)), (1, ())):
        approval = Approval(SOURCE, MODEL_NAME, version, gates, "worth it", "ann", "2026-11-01T00:00:00.000+00:00")
        append_line(home.approvals(SOURCE), asdict(approval))
    publish_model(home, version=2, family="ensemble")
    return home


def _candidate(family: str = "ensemble", **changed: object) -> Lineage:
    return replace(shared_bundle(family=family).lineage, **changed)


def test_a_refresh_of_a_refresh_has_the_override_of_the_first(overridden: Settings) -> None:
    assert carried_overrides(overridden, _candidate()) == {GATE: Override(1, "ann", "worth it")}


@pytest.mark.parametrize(
    "changed",
    [{"feature_version": "v2"}, {"contract_fingerprint": "other"}, {"decided_to": "2019-01-01T00:00:00"}],
)
def test_a_change_has_none(overridden: Settings, changed: dict[str, object]) -> None:
    assert carried_overrides(overridden, _candidate(**changed)) == {}


def test_other_members_have_none(overridden: Settings) -> None:
    settings = _candidate().settings
    other = {**settings, "model": {**settings["model"], "members": settings["model"]["members"][::-1]}}

    assert carried_overrides(overridden, _candidate(settings=other)) == {}


def test_after_another_model_is_in_service_there_is_none(overridden: Settings) -> None:
    publish_model(overridden, version=3, family="logistic")

    assert carried_overrides(overridden, _candidate()) == {}
    assert carried_overrides(overridden, _candidate("logistic")) == {}


def test_a_first_model_has_none(home: Settings) -> None:
    assert carried_overrides(home, _candidate()) == {}
