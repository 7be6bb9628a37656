"""`loanlake doctor`: each part is checked, what failed says what to do, and no password is shown."""

from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.unit.warehouse.decision_log.test_outbox import A_DECISION
from warehouse import decision_log
from warehouse.decision_log.second_copy import SecondCopy
from warehouse.doctor.commands import doctor
from warehouse.settings import Settings
from warehouse.team import server
from warehouse.team.machines import report


def verdicts(output: str) -> dict[str, str]:
    return {line[9:25].strip(): line[:8].strip() for line in output.splitlines() if not line.startswith(" ")}


def test_an_embedded_home_needs_no_server(home: Settings) -> None:
    home.home.mkdir(parents=True)
    home.home.chmod(0o755)

    result = CliRunner().invoke(doctor)

    assert verdicts(result.output) == {"home": "warning", "decision log": "ok", "lake": "warning"}
    assert f"Run `chmod 700 {home.home}`" in result.output
    assert "Load a file: `loanlake ingest` or `loanlake run`." in result.output
    assert result.exit_code == 0


def test_a_server_that_is_away_fails_with_advice_and_without_its_password(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "LOANLAKE_CATALOG", "postgres:host=127.0.0.1 port=1 dbname=x password=s3cret-word connect_timeout=2"
    )
    monkeypatch.setenv("LOANLAKE_REDIS_URL", "redis://:s3cret-word@127.0.0.1:1/0")

    result = CliRunner().invoke(doctor)

    found = verdicts(result.output)
    assert (found["postgresql"], found["redis"], found["lake"]) == ("failed", "failed", "failed")
    assert "LOANLAKE_REDIS_URL: Check that the address is right" in result.output
    assert "s3cret-word" not in result.output
    assert result.exit_code == 1


def test_a_team_is_checked_whole(team: Settings, tmp_path: Path) -> None:
    with server(team) as con:
        report(con, team, 2)
        con.execute("update loanlake.machines set seen_at = seen_at - interval '5 minutes'")

    result = CliRunner().invoke(doctor)

    found = verdicts(result.output)
    assert (found["postgresql"], found["machines"], found["team"]) == ("ok", "warning", "warning")
    assert "when 2 entries of its log were not handed over" in result.output
    assert "LOANLAKE_REDIS_URL (each machine has an online store and rate limits of its own)" in result.output
    assert result.exit_code == 0, result.output


def test_a_machine_that_does_not_hand_over_is_named(team: Settings) -> None:
    with closing(decision_log.create(team)) as log:
        decision_log.append(log, [A_DECISION])
        log.execute("update decisions set appended_at = appended_at - 120")

    result = CliRunner().invoke(doctor)

    assert verdicts(result.output)["decision log"] == "warning"
    assert "1 entries wait on this machine, the oldest since 20" in result.output
    assert "Start `loanlake serve`" in result.output


def test_a_second_copy_is_on_another_disk_and_its_disk_is_mounted(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.home.mkdir(parents=True)
    folder = tmp_path / "copy"
    monkeypatch.setenv("LOANLAKE_DECISION_COPY", str(folder))
    assert verdicts(CliRunner().invoke(doctor).output)["second copy"] == "ok"
    SecondCopy(folder, home.decision_copy_disk).append([])

    same_disk = CliRunner().invoke(doctor)
    folder.rename(tmp_path / "unmounted")
    unmounted = CliRunner().invoke(doctor)

    assert verdicts(same_disk.output)["second copy"] == "warning"
    assert "on the file system of the home" in same_disk.output
    assert verdicts(unmounted.output)["second copy"] == "failed"
    assert "Mount the disk" in unmounted.output
    assert unmounted.exit_code == 1
