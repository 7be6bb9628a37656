"""What `loanlake run` refuses before it starts anything."""

import getpass
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from ml.registry.deployment import Challenger, Deployment, serve
from orchestration.commands import run as run_command
from orchestration.lib.feature_versions import require_versions
from orchestration.running import main_run
from orchestration.running.main_run import run_main_path
from warehouse.errors import RunRefused, SettingError
from warehouse.lenders import rules
from warehouse.settings import Settings


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("lending_club", r"`loanlake run lending_club FILE…`$"),
        ("lending_clubb", r"did you mean lending_club\?$"),
        ("mybank", r"no file of 'mybank' was loaded yet"),
    ],
)
def test_a_source_without_any_file_is_refused_before_anything_is_built(tmp_path, source, said):
    settings = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path)})

    with pytest.raises(RunRefused, match=said):
        run_main_path({"source": source, "files": []}, settings)

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("source", "said"),
    [("lending_clb", r"found 'lending_clb'; did you mean lending_club\?$"), ("mybank", r"bring-your-own-lender")],
)
def test_files_of_a_source_that_no_model_reads_are_refused_before_anything_is_built(tmp_path, source, said):
    settings = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path)})

    with pytest.raises(RunRefused, match=said):
        run_main_path({"source": source, "files": ["lc.csv"]}, settings)

    assert not list(tmp_path.iterdir())


def test_a_version_that_the_project_lacks_is_refused_before_anything_is_built(home: Settings) -> None:
    with pytest.raises(RunRefused, match=r"simulated cannot be trained on features 9: .* has v1, v2 for it"):
        run_main_path({"source": "simulated", "files": [], "feature_version": "9"}, home)

    assert not home.candidates.exists()


def test_a_lender_file_that_no_gate_or_feature_can_take_is_refused_before_anything_is_built(
    home: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "simulated.yml").write_text(
        "gates: {max_auc: {limit: 95, reason: x}}\nhonest_features: {nosuch: bought before}\n"
    )
    monkeypatch.setattr(rules, "DIRECTORY", tmp_path)

    with pytest.raises(SettingError, match=r"gates.max_auc.limit must be .*: found 95.*\n.*: found nosuch"):
        run_main_path({"source": "simulated", "files": []}, home)

    assert not home.candidates.exists()


def test_a_version_that_was_deleted_while_a_model_of_it_serves_is_refused(
    home: Settings, in_service: Callable[..., Deployment]
) -> None:
    """dbt leaves the table of a deleted model as it was: new applications would silently never be scored."""
    in_service(3, feature_version="v0")

    with pytest.raises(
        RunRefused, match=r"default_risk_bank version 3 is in service and needs ftr_application v0.*bring .*_v0.sql"
    ):
        require_versions(home, "bank")


def test_a_version_that_was_deleted_while_a_model_of_it_is_on_trial_is_refused(
    home: Settings, in_service: Callable[..., Deployment]
) -> None:
    champion = in_service(3, feature_version="v1")
    challenger = Challenger("shadow", None, replace(champion, model_version=4, feature_version="v0"))
    serve(home, replace(champion, challenger=challenger), action="challenge", by="test")

    with pytest.raises(
        RunRefused, match=r"version 4 is on trial and needs ftr_application v0.*end the trial with `loanlake challenge"
    ):
        require_versions(home, "bank")


def test_a_version_of_the_project_may_be_named_either_way(
    home: Settings, in_service: Callable[..., Deployment]
) -> None:
    in_service(3, feature_version="v1")

    def is_refused(wanted: str) -> bool:
        try:
            require_versions(home, "bank", wanted)
        except RunRefused:
            return True
        return False

    assert [wanted for wanted in ("", "1", "v2", "9", "v9") if is_refused(wanted)] == ["9", "v9"]


@pytest.mark.parametrize(
    ("arguments", "by"),
    [(["bank"], getpass.getuser()), (["bank", "--by", "ann"], "ann")],
)
def test_a_run_carries_who_asked_for_it(
    home: Settings, monkeypatch: pytest.MonkeyPatch, arguments: list[str], by: str
) -> None:
    """What a person published stood in the history as done "by dagster"."""
    asked: dict[str, object] = {}
    monkeypatch.setattr(main_run, "run_main_path", lambda run_settings, _: bool(asked.update(run_settings)) or True)

    result = CliRunner().invoke(run_command, arguments)

    assert result.exit_code == 0, result.output
    assert (asked["source"], asked["by"], asked["publish"]) == ("bank", by, "")


def test_always_needs_a_reason(home: Settings) -> None:
    result = CliRunner().invoke(run_command, ["bank", "--publish", "always"])

    assert result.exit_code == 2
    assert "--publish always needs --reason" in result.output
