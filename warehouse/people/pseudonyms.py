"""Keyed pseudonyms: an id always gets the same one, and without the home's key it reveals nothing."""

import hmac
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from warehouse.files.replacing import replace_file
from warehouse.settings import Settings

#: Staging reads ids that are numbers through a double, exact to 2**53: fifteen digits, the first of them 9.
_RANDOM_DIGITS = 14


@dataclass(frozen=True)
class Pseudonyms:
    """``prefixes``: what ids begin with and keep, so that they still look like ids of their lender."""

    key: bytes = field(repr=False)
    prefixes: tuple[str, ...] = ()

    def of(self, name: str) -> str:
        """The pseudonym of a borrower's, an application's or a decision's id.

        >>> Pseudonyms(b"key", ("lc-", "lc-member-")).of("lc-member-7")
        'lc-member-929199789411847'
        """
        prefix = max((each for each in self.prefixes if name.startswith(each)), key=len, default="")
        number = int.from_bytes(self._digest(name)[:16], "big") % 10**_RANDOM_DIGITS
        return f"{prefix}{9 * 10**_RANDOM_DIGITS + number}"

    def mark(self, borrower_id: str) -> str:
        """What a record of requests calls a person: no pseudonym of theirs, so that it leads to no row."""
        return self._digest(f"request\0{borrower_id}").hex()[:32]

    def _digest(self, text: str) -> bytes:
        return hmac.digest(self.key, text.encode(), "sha256")


def pseudonyms(settings: Settings, prefixes: Iterable[str] = ()) -> Pseudonyms:
    """Those of this home, whose key is made by the first call unless ``LOANLAKE_ERASURE_KEY`` gives one."""
    key = settings.erasure_key.encode() if settings.erasure_key is not None else _own_key(settings)
    return Pseudonyms(key, tuple(sorted(prefixes)))


def _own_key(settings: Settings) -> bytes:
    path = settings.erasures / "key"
    settings.erasures.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".key.{os.getpid()}")
    if not path.exists():
        replace_file(draft, secrets.token_hex(32), mode=0o600)
        try:
            os.link(draft, path)  # whoever comes second takes the first one's
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()
