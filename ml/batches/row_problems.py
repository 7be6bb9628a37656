"""What is wrong with one row of a batch, in the words of the API's problem documents (RFC 9457)."""

from collections.abc import Sequence
from typing import Any

import msgspec


class RowProblem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Member for member a problem of ``serving.http.problems``; ``errors`` are its violations: field, rule, found."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[dict[str, Any], ...] = ()

    def to_json(self) -> str:
        """As results and the lake hold it."""
        return msgspec.json.encode(self).decode()


def invalid_row(violations: Sequence[dict[str, Any]]) -> RowProblem:
    """Values that break the rules of their fields."""
    names = ", ".join(str(violation["field"]) for violation in violations)
    return RowProblem(
        "urn:loanlake:problem:invalid-request",
        "The request is not valid",
        400,
        f"{len(violations)} of the row's fields break their rules: {names}",
        tuple(violations),
    )


def not_scorable(why: str) -> RowProblem:
    """Valid values for which a feature's formula has no result."""
    return RowProblem("urn:loanlake:problem:not-scorable", "No score can be computed from these values", 422, why)


def stale_history(why: str) -> RowProblem:
    """History is older than the lender allows a score to be made on."""
    return RowProblem(
        "urn:loanlake:problem:stale-history", "The applicant's history is too old to score with", 503, why
    )
