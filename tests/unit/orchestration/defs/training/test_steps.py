"""A candidate is judged once, and again where what it was judged by has changed."""

from pathlib import Path

import pytest

from ml.judging.gate_limits import limits_of, plain_limits
from orchestration.defs.training.candidates import Judgement, candidate_directory
from orchestration.defs.training.steps import is_judged
from warehouse.lenders import rules as lenders
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings


def test_a_limit_that_the_lender_moved_since_has_the_candidate_judged_again(
    home: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A lender who said why a feature is honest was refused as before, since nothing had changed in the rows."""
    monkeypatch.setattr(lenders, "DIRECTORY", tmp_path)
    directory = candidate_directory(home, "bank", "f")
    limits = plain_limits(limits_of(read_lender("bank")))
    directory.write_judgement(Judgement(None, ({"gate": "no_feature_knows_the_outcome", "passed": False},), limits))
    before = is_judged("bank", directory)

    (tmp_path / "bank.yml").write_text('honest_features: {bureau_score: "bought before the decision"}\n')

    assert (before, is_judged("bank", directory)) == (True, False)
