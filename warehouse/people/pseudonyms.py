"""Keyed pseudonyms: an id always gets the same one, which reveals nothing without the home's key."""

import hmac
import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from warehouse.decision_log.erasing import renamed_texts
from warehouse.files.replacing import replace_file
from warehouse.settings import Settings
from warehouse.sql.quoting import literal

#: Staging reads numeric ids through a double, exact up to 2**53: fifteen digits, of which the first is 9.
_RANDOM_DIGITS = 14


@dataclass(frozen=True)
class Pseudonyms:
    """``prefixes``: kept at the start of ids, so that a pseudonym still shows its lender."""

    key: bytes = field(repr=False)
    prefixes: tuple[str, ...] = ()

    def of(self, name: str) -> str:
        """The pseudonym of a borrower's, application's or decision's id.

        >>> Pseudonyms(b"key", ("lc-", "lc-member-")).of("lc-member-7")
        'lc-member-929199789411847'
        """
        prefix = max((each for each in self.prefixes if name.startswith(each)), key=len, default="")
        number = int.from_bytes(self._digest(name)[:16], "big") % 10**_RANDOM_DIGITS
        return f"{prefix}{9 * 10**_RANDOM_DIGITS + number}"

    def mark(self, borrower_id: str) -> str:
        """A person's mark in the record of requests: not their pseudonym, so that it leads to no row."""
        return self._digest(f"request\0{borrower_id}").hex()[:32]

    def _digest(self, text: str) -> bytes:
        return hmac.digest(self.key, text.encode(), "sha256")


def renamed(column: str, names: Iterable[str], rename: Callable[[str], str]) -> str:
    """SQL of a column with these ids replaced."""
    cases = " ".join(f"when {literal(name)} then {literal(rename(name))}" for name in sorted(names))
    return f"case {column} {cases} else {column} end" if cases else column


def renamed_json(column: str, names: Iterable[str], rename: Callable[[str], str]) -> str:
    """SQL of a column of JSON text with these ids, as whole texts, replaced."""
    for before, after in renamed_texts(names, rename):
        column = f"replace({column}, {literal(before)}, {literal(after)})"
    return column


def pseudonyms(settings: Settings, prefixes: Iterable[str] = ()) -> Pseudonyms:
    """The home's pseudonyms; the first call creates its key unless ``LOANLAKE_ERASURE_KEY`` is set."""
    key = settings.erasure_key.encode() if settings.erasure_key is not None else _own_key(settings)
    return Pseudonyms(key, tuple(sorted(prefixes)))


def _own_key(settings: Settings) -> bytes:
    path = settings.erasures / "key"
    settings.erasures.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".key.{os.getpid()}")
    if not path.exists():
        replace_file(draft, secrets.token_hex(32), mode=0o600)
        try:
            os.link(draft, path)  # fails if another process was first: its key is used
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()
