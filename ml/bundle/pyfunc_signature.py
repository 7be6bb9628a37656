"""The signature of the bundle's MLflow model: the contract's features in, scores out."""

from typing import TYPE_CHECKING, Any

from ml.bundle.bundle import Bundle
from warehouse.features.columns import Kind
from warehouse.features.contract import FeatureContract

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import Schema


def signature() -> "ModelSignature":
    """The outputs alone: MLflow would drop any input column that a signature does not name.

    A misspelt feature would then be scored as missing; the model checks its input by the contract instead.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    outputs: list[Any] = [
        ColSpec(DataType.double, "raw_score"),
        ColSpec(DataType.double, "probability"),
        ColSpec(DataType.double, "probability_low"),
        ColSpec(DataType.double, "probability_high"),
        ColSpec(DataType.string, "band"),
        ColSpec(DataType.string, "decision"),
        ColSpec(DataType.string, "reasons"),
    ]
    return ModelSignature(outputs=Schema(outputs))


def features_schema(contract: FeatureContract) -> "Schema":
    """The features as MLflow columns, all optional."""
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType

    # integers are double and booleans any: MLflow's integer and boolean columns refuse nulls
    anything: Any = AnyType  # untyped in MLflow
    types: dict[Kind, Any] = {"numeric": DataType.double, "boolean": anything(), "categorical": DataType.string}
    columns: list[Any] = [ColSpec(types[feature.kind], feature.name, required=False) for feature in contract.features]
    return Schema(columns)


def input_example(bundle: Bundle) -> "pd.DataFrame":
    """One row of the features' types: the middle of the training rows, which belongs to no person.

    A person's row would stay in the artifact store after the person was erased.
    """
    import pandas as pd

    rows = pd.read_parquet(bundle.reference_sample)
    example = pd.DataFrame(index=range(1))
    for feature in bundle.contract.features:
        values = rows[feature.name].dropna()
        if feature.kind == "numeric":
            # not between two values: that of a whole number would be none
            middle = values.astype("float64").quantile(0.5, interpolation="lower")
            example[feature.name] = float(middle) if len(values) else float("nan")
        else:
            common = values.mode().iloc[0] if len(values) else None
            value = bool(common) if feature.kind == "boolean" and common is not None else common
            example[feature.name] = pd.Series([value], dtype="object")
    return example
