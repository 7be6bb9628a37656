"""What tells that a batch was sent before: its caller's key, and what was sent."""

import hashlib
import uuid

_NAMESPACE = uuid.UUID("0a3f5f5e-5a8e-5b5c-8f0b-6a4c7d0c2f11")


def batch_key_id(caller_id: str, idempotency_key: str) -> str:
    """What this caller's key is kept as, in every process and after every restart.

    Never a batch's id: a key may come again after its batch was forgotten, and then stands for another.
    """
    return str(uuid.uuid5(_NAMESPACE, f"{caller_id}\n{idempotency_key}"))


def body_digest(body: bytes, media_type: str) -> str:
    """What two bodies have in common that ask for the same."""
    return hashlib.sha256(media_type.encode() + b"\n" + body).hexdigest()
