"""A backfill is one run, and the command tells what was walked; what a walk does is tested with ``ml``."""

from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

import orchestration.defs.walk_forward.walking
from ml.walk_forward.picture import draw_walk
from ml.walk_forward.plan import WalkPlan
from orchestration.defs.walk_forward.walking import Walk
from orchestration.lib.run_settings import RunSettings
from orchestration.walk_forward_command import walk_forward as command
from tests.unit.ml.walk_forward.walked_months import walked_month
from warehouse.errors import SettingError
from warehouse.settings import Settings

FIGURES = {"n_mature": 900, "n_defaults": 81, "default_rate": 0.09, "mean_probability": 0.1, "auc": 0.7, "brier": 0.08}


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[WalkPlan]:
    """Plans as they are walked: each gives a month of two policies."""
    asked: list[WalkPlan] = []

    def walk(_: Settings, plan: WalkPlan, report: Any, **__: Any) -> Walk:
        asked.append(plan)
        months = [walked_month(2, policy, **FIGURES) for policy in ("never", "monthly")]
        for month in months:
            report(month)
        return Walk(months, draw_walk(months), tmp_path / "walk.png")

    monkeypatch.setattr(orchestration.defs.walk_forward.walking, "run_walk", walk)
    return asked


def backfill(first: str, last: str) -> tuple[dg.ExecuteInProcessResult, set[str]]:
    """One run of a range of partitions: a backfill of a single-run asset comes as these two tags."""
    from orchestration.defs.walk_forward.assets import walk_forward

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [walk_forward],
            instance=instance,
            resources={"run_settings": RunSettings()},
            tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
            raise_on_error=False,
        )
        return result, instance.get_materialized_partitions(walk_forward.key)


def test_a_stretch_of_months_is_one_walk(home: Settings, plans: list[WalkPlan]) -> None:
    result, walked = backfill("lending_club|2011-01-01", "lending_club|2011-03-01")

    assert (result.success, len(plans)) == (True, 1)
    assert walked == {f"lending_club|2011-0{month}-01" for month in (1, 2, 3)}
    assert (plans[0].source, plans[0].first, plans[0].last) == ("lending_club", date(2011, 1, 1), date(2011, 3, 1))
    metadata = result.asset_materializations_for_node("monitoring__walk_forward")[0].metadata
    assert str(metadata["picture"].value).startswith("![walk forward](data:image/png;base64,")


def test_a_month_of_several_lenders_is_walked_for_each_and_one_that_fails_stops_no_other(
    home: Settings, plans: list[WalkPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster puts several lenders into one run where the months are fewer than they are."""
    walk = orchestration.defs.walk_forward.walking.run_walk

    def refuse_one(settings: Settings, plan: WalkPlan, *arguments: Any, **options: Any) -> Walk:
        if plan.source == "lending_club":
            raise SettingError("it has no applications in 2011-01")
        return walk(settings, plan, *arguments, **options)

    whole, walked = backfill("lending_club|2011-01-01", "uci_credit_card|2011-01-01")
    monkeypatch.setattr(orchestration.defs.walk_forward.walking, "run_walk", refuse_one)
    plans.clear()
    part, _ = backfill("lending_club|2011-01-01", "uci_credit_card|2011-01-01")

    assert (whole.success, walked) == (
        True,
        {f"{lender}|2011-01-01" for lender in ("lending_club", "simulated", "uci_credit_card")},
    )
    assert [plan.source for plan in plans] == ["simulated", "uci_credit_card"]
    [failed] = [event for event in part.all_events if event.is_step_failure]
    assert "not walked: lending_club: it has no applications in 2011-01" in str(failed.step_failure_data)


def test_the_command_tells_each_month_and_what_the_policies_came_to(home: Settings, plans: list[WalkPlan]) -> None:
    done = CliRunner().invoke(command, ["bank", "--from", "2011-01", "--to", "2011-02", "--policy", "drift"])

    assert done.exit_code == 0, done.output
    assert (plans[0].policies, plans[0].label_window_months) == (("drift",), 12)
    lines = done.output.splitlines()
    assert lines[0].startswith("2011-02  never    kept      model of 2011-01")
    assert any(line.split()[:4] == ["monthly", "0", "0", "900"] for line in lines)
    assert lines[-1].endswith("walk.png")


def test_a_month_that_is_none_is_one_message(home: Settings, plans: list[WalkPlan]) -> None:
    done = CliRunner().invoke(command, ["bank", "--from", "2011-01", "--to", "soon"])

    assert isinstance(done.exception, SettingError)
    assert plans == []
