"""The cursor of published decisions: what comes next, what is kept until then, and what a message holds."""

import dataclasses
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from serving.http.wire import DecisionSummary, ModelVersion
from tests.unit.warehouse.decision_log.test_outbox import decision, log
from warehouse import decision_log
from warehouse.decision_log.publication import (
    PublishedDecision,
    PublishedModel,
    begin_publication,
    next_unpublished,
    note_published,
    waiting,
)
from warehouse.lenders import rules
from warehouse.settings import Settings


@pytest.fixture
def publishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Whether the file of the simulated lender names a topic."""
    monkeypatch.setattr(rules, "DIRECTORY", tmp_path)

    def write(does: bool) -> None:
        topic = "decisions_to: {connection: core, topic: decisions}\n" if does else ""
        (tmp_path / "simulated.yml").write_text(f"connections: {{core: {{kind: kafka, brokers: ['a:1']}}}}\n{topic}")

    write(True)
    return write


def test_a_message_has_what_the_api_lists_of_a_decision_without_its_caller() -> None:
    listed = {field for field in DecisionSummary.__struct_fields__ if field != "caller"}

    assert set(PublishedDecision.__struct_fields__) == listed
    assert set(PublishedModel.__struct_fields__) == set(ModelVersion.__struct_fields__)


def test_a_lender_s_cursor_passes_the_decisions_of_others(home: Settings) -> None:
    other = msgspec.structs.replace(decision(2), source="other")
    log(home, [decision(1), other, decision(3)])
    with closing(decision_log.connect(home)) as outbox:
        begin_publication(outbox, "simulated", "kafka core/decisions")
        first = next_unpublished(outbox, "simulated", 2)
        note_published(outbox, "simulated", first.up_to)
        begin_publication(outbox, "simulated", "kafka core/decisions")
        second = next_unpublished(outbox, "simulated", 2)
        behind = waiting(outbox, "simulated")
        note_published(outbox, "simulated", second.up_to)

        assert [[each.decision_id for each in found.decisions] for found in (first, second)] == [["d-1"], ["d-3"]]
        assert (behind.n_decisions, behind.seconds < 60) == (1, True)
        assert next_unpublished(outbox, "simulated", 2) is None
        assert dataclasses.astuple(waiting(outbox, "simulated")) == (0, 0.0)


def test_another_topic_gets_what_the_log_still_has(home: Settings) -> None:
    log(home, [decision(1)])
    with closing(decision_log.connect(home)) as outbox:
        begin_publication(outbox, "simulated", "kafka core/decisions")
        note_published(outbox, "simulated", 1)

        begin_publication(outbox, "simulated", "kafka core/others")

        assert waiting(outbox, "simulated").n_decisions == 1


def test_a_decision_stays_in_the_log_until_it_is_published(home: Settings, publishes: Callable[[bool], None]) -> None:
    log(home, [decision(1), decision(2)])
    decision_log.ingest_into_lake(home)
    with closing(decision_log.connect(home)) as outbox:
        begin_publication(outbox, "simulated", "kafka core/decisions")
        note_published(outbox, "simulated", 1)

    kept = decision_log.prune(home, older_than=timedelta(0))
    publishes(False)
    freed = decision_log.prune(home, older_than=timedelta(0))

    assert (kept.n_entries, freed.n_entries) == (1, 1)
