"""A refusal names what is left to do: nothing that would be refused in its turn."""

import pytest

from orchestration.defs.training.candidates import Judgement
from orchestration.defs.training.next_steps import after_passing, after_refusal

REGISTERED = {"model_name": "default_risk_bank", "model_version": 3}


@pytest.mark.parametrize(
    ("refused", "offered", "not_offered"),
    [
        (("auc_reaches_floor",), "`loanlake model approve 3 --override auc_reaches_floor --lender bank", "--shadow"),
        (("reasons_are_exact",), "`loanlake challenge start 3 --shadow --lender bank", "train another version"),
        (("offline_equals_online", "auc_reaches_floor"), "no one can override offline_equals_online", "approve 3"),
        (("reasons_are_exact", "auc_reaches_floor"), "--override reasons_are_exact --override auc_", "--shadow"),
    ],
)
def test_a_refusal_offers_what_is_allowed(refused: tuple[str, ...], offered: str, not_offered: str) -> None:
    gates = [{"gate": gate, "passed": False, "message": f"{gate} says no."} for gate in refused]
    passed = {"gate": "train_auc_is_plausible", "passed": True, "message": "fine"}

    text = "\n".join(after_refusal("bank", REGISTERED, Judgement(None, (*gates, passed))))

    assert offered in text
    assert not_offered not in text
    assert all(f"refused by {gate}: {gate} says no." in text for gate in refused)
    assert "fine" not in text


def test_what_passed_may_be_promoted_or_compared_first() -> None:
    text = after_passing("bank", REGISTERED)

    assert "`loanlake model promote 3 --lender bank --reason …` serves it" in text
    assert "`loanlake challenge start 3 --shadow --lender bank --reason …`" in text
