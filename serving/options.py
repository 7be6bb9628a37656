"""Limits of the API, read once from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from warehouse.errors import SettingError


@dataclass(frozen=True)
class ServingOptions:
    """What one API process accepts.

    ``batch_rows``: applications in one inline batch. ``body_bytes``: request body. ``waiting_decisions``: decisions
    scored but not yet durable, beyond which new ones are refused with 503 rather than kept waiting.
    ``poll_seconds``: how often deployment and keys are looked at for a change. ``metrics_need_key``: whether
    ``/metrics`` asks for a key with the scope ``metrics``.
    """

    batch_rows: int = 500
    body_bytes: int = 4_000_000
    waiting_decisions: int = 5_000
    poll_seconds: float = 0.5
    metrics_need_key: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "ServingOptions":
        """Read ``LOANLAKE_BATCH_ROWS``, ``LOANLAKE_BODY_BYTES``, ``LOANLAKE_WAITING_DECISIONS``, ``LOANLAKE_METRICS``.

        Raises SettingError naming the variable and the value that cannot be used.
        """
        env = os.environ if environment is None else environment
        metrics = env.get("LOANLAKE_METRICS") or "open"
        if metrics not in {"open", "key"}:
            raise SettingError(f"LOANLAKE_METRICS must be 'open' or 'key': found {metrics!r}")
        return cls(
            batch_rows=_count(env, "LOANLAKE_BATCH_ROWS", cls.batch_rows, 10_000),
            body_bytes=_count(env, "LOANLAKE_BODY_BYTES", cls.body_bytes, 100_000_000),
            waiting_decisions=_count(env, "LOANLAKE_WAITING_DECISIONS", cls.waiting_decisions, 1_000_000),
            metrics_need_key=metrics == "key",
        )


def _count(env: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = env.get(name)
    if not text:
        return default
    value = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= value <= most:
        raise SettingError(f"{name} must be a whole number within 1..{most}: found {text!r}")
    return value
