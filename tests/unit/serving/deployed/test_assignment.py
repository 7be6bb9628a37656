"""A share of the applicants: the same ones in every process, more as the share grows, others in other trials."""

import os
import subprocess
import sys

import pytest

from serving.deployed.assignment import is_challenged

APPLICANTS = [f"borrower-{number}" for number in range(20_000)]


def challenged(share: float, trial: str = "default_risk version 8") -> set[str]:
    return {applicant for applicant in APPLICANTS if is_challenged(applicant, trial=trial, share=share)}


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_the_share_is_the_share(share: float) -> None:
    """Four standard deviations of 20,000 draws."""
    allowed = 4 * (share * (1 - share) / len(APPLICANTS)) ** 0.5

    assert abs(len(challenged(share)) / len(APPLICANTS) - share) < allowed


def test_a_larger_share_keeps_all_of_a_smaller_one() -> None:
    assert challenged(0.05) < challenged(0.1) < challenged(0.6)


def test_trials_draw_apart() -> None:
    both = challenged(0.5) & challenged(0.5, trial="default_risk version 9")

    assert 0.23 < len(both) / len(APPLICANTS) < 0.27


def test_another_process_draws_the_same() -> None:
    """Python's own hash of a text differs between processes."""
    program = (
        "from tests.unit.serving.deployed.test_assignment import challenged; import hashlib; "
        "print(hashlib.sha256(repr(sorted(challenged(0.1))).encode()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(found) == 1
