"""Encrypt the parts of backups with a key of the user's (AES-256-GCM), and name them so that names reveal nothing."""

import hashlib
import hmac
import os
from typing import Protocol

from warehouse.errors import BackupError

_NONCE_BYTES = 12
_TAG_BYTES = 16


class Seal(Protocol):
    """How bytes are kept in a target. ``n_added``: by how many a part grows."""

    n_added: int

    def name_of(self, digest: bytes) -> str:
        """The name of a part, from the SHA-256 of its content."""
        ...

    def close(self, name: str, content: bytes) -> bytes:
        """The bytes to keep under this name."""
        ...

    def open(self, name: str, kept: bytes) -> bytes:
        """The content again; raises BackupError if it was changed or belongs to another name."""
        ...


class Plain:
    """No encryption."""

    n_added = 0

    def name_of(self, digest: bytes) -> str:
        """The digest."""
        return digest.hex()

    def close(self, name: str, content: bytes) -> bytes:
        """The content."""
        return content

    def open(self, name: str, kept: bytes) -> bytes:
        """The content."""
        return kept


class Encrypted:
    """AES-256-GCM, a new nonce for each part, bound to its name; keys are derived from the user's by scrypt."""

    n_added = _NONCE_BYTES + _TAG_BYTES

    def __init__(self, key: str, salt: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        # once in a command, 0.1 s: a key that a person thought of is slow to guess
        keys = hashlib.scrypt(key.encode(), salt=salt, n=2**15, r=8, p=1, maxmem=2**26, dklen=96)
        self._cipher = AESGCM(keys[:32])
        self._names = keys[32:64]
        #: Kept in the target: tells a wrong key from damage.
        self.check = hashlib.sha256(keys[64:]).hexdigest()

    def name_of(self, digest: bytes) -> str:
        """A keyed hash of the digest: whoever has a file cannot see whether it is in the backup."""
        return hmac.digest(self._names, digest, "sha256").hex()

    def close(self, name: str, content: bytes) -> bytes:
        """Nonce and ciphertext."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, name.encode())

    def open(self, name: str, kept: bytes) -> bytes:
        """The content."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(kept[:_NONCE_BYTES], kept[_NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError):
            raise BackupError(f"{name} is damaged: it was changed after it was encrypted") from None


def is_equal(one: str, other: str) -> bool:
    """Whether two texts are equal, in a time that does not depend on them."""
    return hmac.compare_digest(one, other)
