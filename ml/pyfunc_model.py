"""The bundle as an MLflow model: feature rows in, scores out; what ``mlflow models serve`` runs.

MLflow stores this file with the model and runs it when the model is loaded ("models from code"): nothing is pickled. It
needs the package ``loanlake`` of the version in the model's requirements.
"""

from pathlib import Path
from typing import Any

import pandas as pd  # MLflow reads the hint of predict, and warns of one it cannot resolve
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from ml.bundle import load_bundle
from ml.logged_values import dump_reasons
from ml.scorer import Scorer


class BundleModel(PythonModel):
    """Scores rows of the feature table as the API does, to the bit."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load and verify the bundle beside this file."""
        self._scorer = Scorer(load_bundle(Path(context.artifacts["bundle"])))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """For each row ``raw_score`` (log-odds), ``probability``, ``band``, ``decision``, ``reasons`` (JSON, if owed).

        A feature that the input lacks counts as missing.
        """
        frame = model_input.reindex(columns=list(self._scorer.contract.feature_names))
        matrix = self._scorer.bundle.design_matrix.encode(frame)
        scores = self._scorer.score_matrix(matrix)
        return pd.DataFrame(
            {
                "raw_score": scores.raw.astype(float),
                "probability": scores.probability,
                "band": scores.bands,
                "decision": [scores.decision(row) for row in range(len(scores))],
                "reasons": [
                    dump_reasons(self._scorer.reasons_of_row(row)) if declined else "[]"
                    for row, declined in zip(matrix, scores.declined, strict=True)
                ],
            }
        )


set_model(BundleModel())
