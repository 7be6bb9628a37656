"""The decision log: a SQLite outbox that the API commits to before it answers, and the lake that drains it.

Entries are appended with ``synchronous=full``: once :func:`append` returns they survive ``kill -9`` and a power cut.
:func:`ingest_into_lake` moves them to ``serving.predictions``, ``serving.shadow_predictions``,
``serving.reported_outcomes`` and ``serving.scoring_failures``, each exactly once.
"""

from warehouse.decision_log.entries import Decision, HistoryWord, ReportedOutcome, ScoringFailure, ShadowDecision
from warehouse.decision_log.erasing import erase_entries
from warehouse.decision_log.ingestion import Ingested, find_decision, ingest_into_lake, newest_in_lake
from warehouse.decision_log.outbox import (
    Backlog,
    append,
    backlog,
    connect,
    count_pending,
    create,
    find_in_outbox,
    find_shadow_in_outbox,
    newest_in_outbox,
    prune,
)

__all__ = [
    "Backlog",
    "Decision",
    "HistoryWord",
    "Ingested",
    "ReportedOutcome",
    "ScoringFailure",
    "ShadowDecision",
    "append",
    "backlog",
    "connect",
    "count_pending",
    "create",
    "erase_entries",
    "find_decision",
    "find_in_outbox",
    "find_shadow_in_outbox",
    "ingest_into_lake",
    "newest_in_lake",
    "newest_in_outbox",
    "prune",
]
