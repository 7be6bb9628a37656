"""The bundle as an MLflow model: feature rows in, scores out; ``mlflow models serve`` runs it.

MLflow stores this file with the model and runs it on loading ("models from code"), so nothing is pickled. It needs the
``loanlake`` version of the model's requirements.
"""

from pathlib import Path
from typing import Any

import pandas as pd  # MLflow resolves the type hint of predict, and warns if it cannot
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from ml.bundle.bundle import load_bundle
from ml.bundle.feature_violations import find_violations
from ml.bundle.scorer import Scorer


class BundleModel(PythonModel):
    """Scores rows of the feature table as the API does, to the bit."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load and verify the bundle beside this file."""
        self._scorer = Scorer(load_bundle(Path(context.artifacts["bundle"])))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Per row: ``raw_score`` (log-odds), ``probability`` with its interval, ``band``, ``decision``, ``reasons``.

        ``reasons`` are JSON, and empty for an approval.

        A missing feature column counts as missing values. Raises MlflowException (400 from ``mlflow models serve``) for
        a name outside the contract and for a value that the API would refuse.
        """
        rows = _frame(model_input)
        violations = find_violations(rows, self._scorer.contract)
        if violations:
            raise MlflowException.invalid_parameter_value(
                f"The rows are not those of the feature contract {self._scorer.contract.version}: "
                + "; ".join(violations)
            )
        frame = rows.reindex(columns=list(self._scorer.contract.feature_names))
        matrix = self._scorer.bundle.design_matrix.encode(frame)
        scores = self._scorer.score_matrix(matrix)
        return pd.DataFrame(
            {
                "raw_score": scores.raw.astype(float),
                "probability": scores.probability,
                "probability_low": scores.low,
                "probability_high": scores.high,
                "band": scores.bands,
                "decision": scores.decisions,
                "reasons": self._scorer.logged_reasons(matrix, scores, of_approved="[]"),
            }
        )


def _frame(given: Any) -> pd.DataFrame:
    if isinstance(given, pd.DataFrame):
        return given
    records = [given] if isinstance(given, dict) else given
    if isinstance(records, list) and all(isinstance(record, dict) for record in records):
        return pd.DataFrame(records)
    raise MlflowException.invalid_parameter_value(
        f"The model takes rows of named features, as a data frame or as records: found {type(given).__name__}"
    )


set_model(BundleModel())
