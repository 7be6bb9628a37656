import pytest

from tests.logged_contract import publish_contract
from tests.unit.warehouse.decision_log.test_outbox import A_DECISION
from warehouse.settings import Settings


@pytest.fixture(autouse=True)
def contract(home: Settings) -> None:
    """The contract of the decisions of these tests."""
    publish_contract(home, A_DECISION.model_name, A_DECISION.model_version, {"loan_to_income": "double"})
