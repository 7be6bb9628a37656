"""What the commands say of a version that is served already."""

import json
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner

from ml.commands import approve, promote
from ml.registry import approval
from ml.registry.approval import Approval
from ml.registry.deployment import Deployment, read_deployment
from ml.rollout import promotion
from warehouse.settings import Settings

ENTRY = {
    "source": "bank",
    "model_name": "default_risk_bank",
    "model_version": 3,
    "feature_version": "v1",
    "bundle": "bundles/default_risk_bank/3",
    "published_at": "2024-01-02T03:04:05.000+00:00",
    "published_by": "test",
    "previous": None,
}


@pytest.fixture
def said(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command on version 3, which is served, and return what it says."""
    home.deployment("bank").parent.mkdir(parents=True, exist_ok=True)
    home.deployment("bank").write_text(json.dumps(ENTRY))

    def served(settings: Settings, version: int, **_: object) -> Deployment | None:
        return read_deployment(settings, "bank")

    def approved(settings: Settings, version: int, *, reason: str, by: str, **_: object) -> Approval:
        return Approval("bank", "default_risk_bank", version, (), reason, by, "2024-01-03T00:00:00.000+00:00")

    monkeypatch.setattr(promotion, "promote", served)
    monkeypatch.setattr(approval, "approve", approved)

    def run(command: click.Command, *arguments: str) -> str:
        result = CliRunner().invoke(command, ["3", *arguments], env={"LOANLAKE_HOME": str(home.home)})
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_promoting_what_is_served_says_that_nothing_was_changed_or_recorded(said: Callable[..., str]) -> None:
    output = said(promote, "--reason", "minutes 2026-11")

    assert output == "default_risk_bank version 3 is already served; nothing was changed or recorded\n"


def test_approving_what_is_served_says_that_only_the_approval_is_recorded(said: Callable[..., str]) -> None:
    output = said(approve, "--reason", "minutes 2026-11")

    assert output == (
        "default_risk_bank version 3 is already served; nothing was changed but that your approval is recorded\n"
    )
