"""A contract's features as one Python function."""

from warehouse.errors import ContractError
from warehouse.features.contract import FeatureContract
from warehouse.features.expressions import CompiledSelect, SqlType, column_type, compile_select


def compile_contract(contract: FeatureContract) -> CompiledSelect:
    """The features, in table order, as a function of one row of inputs; raises ExpressionError and ContractError."""
    types = {column.name: column.data_type for column in contract.inputs}
    compiled = compile_select(contract.sql, types=types, columns=contract.feature_names)
    for feature, found in zip(contract.features, compiled.types, strict=True):
        declared = column_type(feature.data_type)
        if declared is not SqlType(found):
            raise ContractError(
                f"feature {feature.name} is declared {feature.data_type}, but its SQL computes {found.lower()}; "
                f"write cast(… as {feature.data_type})"
            )
    return compiled
