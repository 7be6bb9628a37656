"""Ids of decisions, and of keys of repeatable requests."""

import os
import re
import time
import uuid

_NAMESPACE = uuid.UUID("5d8f3a0e-4c1b-5f5e-9c67-0b9a2f6f7e11")
_DECISION_ID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_decision_id() -> str:
    """A UUID of version 7 (RFC 9562): 48 bits of milliseconds, then random, so that ids sort by time."""
    time_part = f"{time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF:012x}"
    random = int.from_bytes(os.urandom(10), "big")
    # version 7 in the first four of the random digits, variant 10 in the next
    random_part = f"{random & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62:020x}"
    return f"{time_part[:8]}-{time_part[8:]}-{random_part[:4]}-{random_part[4:8]}-{random_part[8:]}"


def is_decision_id(text: str) -> bool:
    """Whether a text has the form of these ids."""
    return _DECISION_ID.fullmatch(text) is not None


def key_id(caller_id: str, idempotency_key: str) -> str:
    """The stored form of this caller's ``Idempotency-Key``, the same in every process.

    Never a decision's id: once the decision has left the log, the key stands for another.
    """
    return str(uuid.uuid5(_NAMESPACE, f"{caller_id}\n{idempotency_key}"))


def shadow_decision_id(answered_decision_id: str) -> str:
    """The id of the shadow decision that belongs to a decision."""
    return str(uuid.uuid5(_NAMESPACE, f"shadow of {answered_decision_id}"))
