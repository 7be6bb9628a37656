"""Feature rows on their way from the lake to a model: which columns, under which names."""

from typing import TYPE_CHECKING

from ml.bundle.bundle import Bundle
from warehouse.features.contract import FeatureContract

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def offline_name(feature: str) -> str:
    """The name of a feature's column in the stream; an input may have the feature's own name."""
    return f"offline {feature}"


def offline_columns(contract: FeatureContract, relation: str) -> str:
    """Select list of every feature of ``relation``, under its name in the stream."""
    return ", ".join(f'{relation}."{name}" as "{offline_name(name)}"' for name in contract.feature_names)


def offline_frame(batch: "pa.RecordBatch", contract: FeatureContract) -> "pd.DataFrame":
    """The features of a batch under their own names, for the design matrix."""
    selected = batch.select([offline_name(name) for name in contract.feature_names])
    frame: pd.DataFrame = selected.rename_columns(list(contract.feature_names)).to_pandas()
    return frame


def model_columns(bundle: Bundle) -> dict[str, str]:
    """The features that the model reads, with their types."""
    read = set(bundle.design_matrix.feature_names)
    return {feature.name: feature.data_type for feature in bundle.contract.features if feature.name in read}
