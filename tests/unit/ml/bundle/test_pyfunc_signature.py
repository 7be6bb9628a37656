"""The example that MLflow validates a logged model with is one that the API would take."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd

from ml.bundle.pyfunc_signature import input_example
from warehouse.features.columns import FeatureColumn
from warehouse.features.contract import FeatureContract

FEATURES = (
    FeatureColumn("months", "integer", "Whole months.", "numeric", range=(0, 100), reason="months"),
    FeatureColumn("share", "double", "A share.", "numeric", range=(0, 1), reason="share"),
    FeatureColumn("empty", "double", "Never known.", "numeric", range=(0, 1), reason="empty"),
    FeatureColumn("purpose", "varchar", "A label.", "categorical", values=("car", "home"), reason="purpose"),
    FeatureColumn("flag", "boolean", "A flag.", "boolean", reason="flag"),
)


def test_it_is_the_middle_of_each_column_and_whole_where_the_feature_is(tmp_path: Path) -> None:
    """Prevents 124.5 months between 124 and 125, which the model refuses with a warning in every training's log."""
    rows = pd.DataFrame(
        {
            "months": pd.array([124, 125, 300, 3, None], dtype="Int64"),
            "share": [0.1, 0.2, 0.4, None, None],
            "empty": pd.Series([None] * 5, dtype="float64"),
            "purpose": ["car", "home", "home", None, "car"],
            "flag": [True, True, False, None, True],
        }
    )
    rows.to_parquet(tmp_path / "sample.parquet")
    contract = FeatureContract(version="v1", inputs=(), features=FEATURES, sql="select 1 from inputs")
    bundle: Any = SimpleNamespace(reference_sample=tmp_path / "sample.parquet", contract=contract)

    [row] = input_example(bundle).to_dict("records")

    assert (row["months"], row["share"], row["purpose"], row["flag"]) == (124.0, 0.2, "car", True)
    assert pd.isna(row["empty"])
