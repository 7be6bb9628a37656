"""Recognises a repeated batch by its caller's key and by its content."""

import hashlib
import uuid

_NAMESPACE = uuid.UUID("0a3f5f5e-5a8e-5b5c-8f0b-6a4c7d0c2f11")


def batch_key_id(caller_id: str, idempotency_key: str) -> str:
    """The stored form of this caller's key. Not the batch's id: once a batch is deleted, its key may be reused."""
    return str(uuid.uuid5(_NAMESPACE, f"{caller_id}\n{idempotency_key}"))


def body_digest(body: bytes, media_type: str) -> str:
    """Equal for two bodies with the same request."""
    return hashlib.sha256(media_type.encode() + b"\n" + body).hexdigest()
