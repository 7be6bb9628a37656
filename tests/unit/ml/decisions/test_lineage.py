"""From which inputs a decision's features are made."""

from ml.decisions.lineage import features_of
from warehouse.features.columns import FeatureColumn, InputColumn
from warehouse.features.contract import FeatureContract


def test_a_feature_made_of_features_lists_all_their_inputs() -> None:
    contract = FeatureContract(
        version="v1",
        inputs=tuple(InputColumn(name, "double", name, "request") for name in ("amount", "income", "rate", "term")),
        features=tuple(
            FeatureColumn(name, "double", name, "numeric", range=(0, 10), reason=name)
            for name in ("loan_to_income", "interest_to_income", "years")
        ),
        sql="select amount / income as loan_to_income, loan_to_income * rate * term as interest_to_income, "
        "term / 12 as years from inputs",
    )

    found = features_of(contract, {"loan_to_income": 0.5, "interest_to_income": 0.1, "years": 3.0})

    assert {feature.name: feature.inputs for feature in found} == {
        "loan_to_income": ("amount", "income"),
        "interest_to_income": ("amount", "income", "rate", "term"),
        "years": ("term",),
    }
