"""Lenders that are pulled by a schedule of their own."""

from pathlib import Path

import dagster as dg
import pytest

from orchestration.defs.ingestion import schedules
from orchestration.defs.ingestion.schedules import pull_schedule, pull_schedules
from tests.lender_jobs import lender_jobs
from warehouse.lenders import rules
from warehouse.lenders.rules import read_lender

DECLARED = """
connections: {bureau: {kind: http, url: "https://api.bureau.example"}}
pulls: {reports: {connection: bureau, path: reports, row_key: [id]}}
"""


@pytest.fixture
def lenders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(rules, "DIRECTORY", tmp_path)
    return tmp_path


def test_a_lender_that_sets_how_often_is_refreshed_by_a_started_schedule(lenders: Path) -> None:
    (lenders / "lending_club.yml").write_text(f"{DECLARED}pull_every: hour")

    schedule = pull_schedule(read_lender("lending_club"))

    assert schedule is not None
    with dg.build_schedule_context(repository_def=lender_jobs()) as context:
        (request,) = schedule.evaluate_tick(context).run_requests or []
    assert (schedule.name, schedule.cron_schedule, schedule.job.name) == ("pull_lending_club", "10 * * * *", "refresh")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert request.partition_key == "lending_club"


def test_a_lender_without_one_or_with_a_broken_file_stops_no_other(
    lenders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "LENDERS", dg.StaticPartitionsDefinition(["bank", "broken", "files_only"]))
    (lenders / "bank.yml").write_text(f"{DECLARED}pull_every: day")
    (lenders / "broken.yml").write_text("pull_every: fortnight")
    (lenders / "files_only.yml").write_text(DECLARED)

    found = [schedule.name for schedule in pull_schedules().schedules or []]

    assert found == ["pull_bank"]
