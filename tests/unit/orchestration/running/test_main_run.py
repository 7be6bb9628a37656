"""What `loanlake run` refuses before it starts anything."""

import getpass
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from ml.registry.deployment import Challenger, Deployment, serve
from orchestration.commands import run as run_command
from orchestration.lib.feature_versions import require_versions
from orchestration.running import main_run
from orchestration.running.main_run import run_main_path, unnamed_source
from orchestration.running.process import RunProcess
from warehouse.errors import RunRefused, SettingError
from warehouse.lake.connection import writer
from warehouse.lenders import rules
from warehouse.settings import Settings

#: The process of a run that never begins.
UNUSED = RunProcess()


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
        run_main_path(source, {"files": []}, settings, UNUSED)

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("source", "said"),
    [("lending_clb", r"found 'lending_clb'; did you mean lending_club\?$"), ("mybank", r"bring-your-own-lender")],
)
def test_files_of_a_source_that_no_model_reads_are_refused_before_anything_is_built(tmp_path, source, said):
    settings = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path)})

    with pytest.raises(RunRefused, match=said):
        run_main_path(source, {"files": ["lc.csv"]}, settings, UNUSED)

    assert not list(tmp_path.iterdir())


def test_a_version_that_the_project_lacks_is_refused_before_anything_is_built(home: Settings) -> None:
    with pytest.raises(RunRefused, match=r"simulated cannot be trained on features 9: .* has v1, v2 for it"):
        run_main_path("simulated", {"files": [], "feature_version": "9"}, home, UNUSED)

    assert not home.candidates.exists()


def test_a_lender_file_that_no_gate_or_feature_can_take_is_refused_before_anything_is_built(
    home: Settings, give_parse: Callable[[Settings], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    give_parse(home)
    (tmp_path / "simulated.yml").write_text(
        "gates: {max_auc: {limit: 95, reason: x}}\nhonest_features: {nosuch: bought before}\n"
    )
    monkeypatch.setattr(rules, "DIRECTORY", tmp_path)

    with pytest.raises(SettingError, match=r"gates.max_auc.limit must be .*: found 95.*\n.*: found nosuch"):
        run_main_path("simulated", {"files": []}, home, UNUSED)

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

    def run(source: str, run_settings: Mapping[str, object], *_: object) -> bool:
        asked.update(run_settings, lender=source)
        return True

    monkeypatch.setattr(main_run, "run_main_path", run)

    result = CliRunner().invoke(run_command, arguments)

    assert result.exit_code == 0, result.output
    assert (asked["lender"], asked["by"], asked["publish"]) == ("bank", by, "")


def test_always_needs_a_reason(home: Settings) -> None:
    result = CliRunner().invoke(run_command, ["bank", "--publish", "always"])

    assert result.exit_code == 2
    assert "--publish always needs --reason" in result.output


def _load(settings: Settings, *sources: str) -> None:
    with writer("test", settings) as con:
        for source in sources:
            con.execute("insert into raw.files by name select $source as source, 'loans' as entity", {"source": source})


@pytest.mark.parametrize(
    ("loaded", "default", "source", "why"),
    [
        ((), None, "simulated", "no lender has files in this home"),
        (("mybank",), None, "mybank", "it is the only lender with files in this home"),
        (("mybank", "cars"), None, "simulated", "several lenders have files in this home, cars, mybank: name the one"),
        (("mybank", "cars"), "cars", "cars", "LOANLAKE_DEFAULT_LENDER names it"),
    ],
)
def test_a_run_without_a_source_is_for_the_lender_whose_home_it_is(
    home: Settings, loaded: tuple[str, ...], default: str | None, source: str, why: str
) -> None:
    """`loanlake run` in the home of one's own lender built the simulated one beside it."""
    _load(home, *loaded)

    chosen, reason = unnamed_source(replace(home, default_lender=default))

    assert chosen == source
    assert reason.startswith(why)


def test_a_file_that_waits_in_the_inbox_names_its_lender(home: Settings) -> None:
    (home.inbox / "mybank" / "loans").mkdir(parents=True)
    (home.inbox / "mybank" / "loans" / "2024.csv").write_text("id\n1\n")

    assert unnamed_source(home) == ("mybank", "it is the only lender with files in this home")


def test_the_source_of_a_run_that_names_none_is_said(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    _load(home, "mybank")
    monkeypatch.setenv("LOANLAKE_HOME", str(home.home))
    monkeypatch.setattr(main_run, "run_main_path", lambda source, *_: source == "mybank")

    result = CliRunner().invoke(run_command, [])

    assert result.exit_code == 0
    assert "the run is for mybank, since it is the only lender with files in this home" in result.output
