"""What the bundle's MLflow model takes and gives: the contract's features in, scores out."""

from typing import TYPE_CHECKING, Any

from ml.bundle import Bundle
from warehouse.contract import FeatureContract, Kind

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

_EXAMPLE_ROWS = 3


def signature(contract: FeatureContract) -> "ModelSignature":
    """Every feature optional: one that is left out, or null, counts as missing."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType

    # integers too are double, and booleans any: MLflow's own integer and boolean columns refuse nulls
    anything: Any = AnyType  # untyped in MLflow
    types: dict[Kind, Any] = {"numeric": DataType.double, "boolean": anything(), "categorical": DataType.string}
    inputs: list[Any] = [ColSpec(types[feature.kind], feature.name, required=False) for feature in contract.features]
    outputs: list[Any] = [
        ColSpec(DataType.double, "raw_score"),
        ColSpec(DataType.double, "probability"),
        ColSpec(DataType.string, "band"),
        ColSpec(DataType.string, "decision"),
        ColSpec(DataType.string, "reasons"),
    ]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def input_example(bundle: Bundle) -> "pd.DataFrame":
    """A few training rows, typed as the signature says."""
    import pandas as pd

    rows = pd.read_parquet(bundle.reference_sample).head(_EXAMPLE_ROWS)
    example = pd.DataFrame(index=range(len(rows)))
    for feature in bundle.contract.features:
        values = rows[feature.name].reset_index(drop=True)
        if feature.kind == "numeric":
            example[feature.name] = values.astype("float64")
        else:
            objects = values.astype("object").where(values.notna(), None)
            example[feature.name] = objects.map(bool, na_action="ignore") if feature.kind == "boolean" else objects
    return example
