"""The drill: under load a home is backed up, destroyed and restored elsewhere, and goes on from there."""

import shutil
import time
from contextlib import closing
from pathlib import Path

import pytest

from ml.decisions.replay import replay_newest
from orchestration.recovery.restoring import restore
from orchestration.recovery.verifying import home_at, verify
from tests.failure.callers import calling
from tests.free_ports import free_port
from tests.serving_home import ServingHome, fill_online_store, furnish
from tests.serving_process import running
from warehouse import decision_log
from warehouse.backup.creating import create_backup
from warehouse.backup.store import open_store
from warehouse.lake.connection import connect
from warehouse.settings import Settings

N_REPLAYED = 1_000
#: What the brief of recovery requires of an example lender: decisions of 5 minutes may be lost, a minute to be back.
MOST_LOST_SECONDS = 300
MOST_RESTORE_SECONDS = 60


@pytest.fixture
def serving_home(home: Settings) -> ServingHome:
    return furnish(home)


@pytest.mark.extended
def test_a_destroyed_home_is_restored_elsewhere_with_all_that_its_backup_holds(
    serving_home: ServingHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Backups during the load, with ingestion between them; no caller gets another answer than a score meanwhile."""
    settings, port = serving_home.settings, free_port()
    store, took = open_store(str(tmp_path / "backups"), "k" * 32, create=True), []

    with calling(port, serving_home) as told, running(serving_home, tmp_path / "log", port=port) as server:
        for _ in range(3):
            time.sleep(1)
            decision_log.ingest_into_lake(settings)
            logged, began = logged_ids(settings), time.monotonic()
            took.append(create_backup(settings, store).seconds)
        server.process.kill()
        lost_seconds = time.monotonic() - began
        shutil.rmtree(settings.home)

    began_again = time.monotonic()
    own = home_at(settings, tmp_path / "elsewhere")
    done = restore(own, store, store.manifest(), by="tests", say=lambda _: None)
    fill_online_store(own)  # a restore fills it from the lake, which has no online models here
    with running(ServingHome(own, serving_home.key), tmp_path / "log-2", port=free_port()) as server:
        back_seconds = time.monotonic() - began_again
        health = server.request("GET", "/readyz")

    replayed = list(replay_newest(own, N_REPLAYED))
    decision_log.ingest_into_lake(own)
    with connect(own) as con:
        kept = dict(con.execute("select decision_id, probability from serving.predictions").fetchall())
    lost = [decision_id for decision_id, _ in told.scores if decision_id not in kept]
    with capsys.disabled():
        print(
            f"\n{len(told.scores):,} answered, {len(lost):,} of them since the last backup began {lost_seconds:.1f} s "
            f"before the loss; backups took {', '.join(f'{each:.1f}' for each in took)} s under load; restored in "
            f"{done.seconds:.1f} s, ready to score after {back_seconds:.1f} s; {len(replayed):,} replayed to the bit"
        )
    assert set(told.statuses) == {200}
    assert isinstance(health, dict)
    assert health["status"] in ("ready", "degraded")
    assert [decision_id for decision_id in logged if decision_id not in kept] == []
    assert [found for found in told.scores if kept.get(found[0], found[1]) != found[1]] == []
    assert len(replayed) == min(N_REPLAYED, len(kept))
    assert [each.text for each in replayed if not each.equal] == []
    assert lost_seconds < MOST_LOST_SECONDS
    assert back_seconds < MOST_RESTORE_SECONDS
    assert verify(own, store, store.manifest(), n_decisions=10).n_replayed == 10


def logged_ids(settings: Settings) -> list[str]:
    """The decisions that are durable at this moment; each was answered, or is about to be."""
    with closing(decision_log.create(settings)) as log:
        return [decision_id for (decision_id,) in log.execute("select id from decisions").fetchall()]
