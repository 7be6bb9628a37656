"""Applicants whom the challenger answers: a share, always the same ones, in every worker and restart."""

from hashlib import blake2b

_BITS = 64


def is_challenged(applicant: str, *, trial: str, share: float) -> bool:
    """Whether this applicant belongs to the challenger's share of a trial.

    By a hash of both: trials are independent, and a larger share includes a smaller one. ``trial``: the version on
    trial.

    >>> [is_challenged(f"borrower-{n}", trial="default_risk 8", share=0.5) for n in range(4)]
    [False, True, False, False]
    """
    digest = blake2b(f"{trial}\n{applicant}".encode(), digest_size=_BITS // 8).digest()
    return int.from_bytes(digest) < share * float(2**_BITS)
