"""The training rows as later months are compared with them: their scores, and a sample of their features."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from ml.training.fitting import Candidate
    from ml.training.training_set import TrainingSet

_SAMPLE_ROWS = 10_000
_QUANTILES = tuple(percent / 100 for percent in range(0, 101, 5))


@dataclass(frozen=True)
class Reference:
    """``sample``: features of up to 10,000 training rows; ``scores``: every training row's id and probability."""

    sample: "pd.DataFrame"
    scores: "pd.DataFrame"

    def to_dict(self) -> dict[str, Any]:
        """The numbers worth reading without Parquet: rows, the scores' mean and quantiles, shares of missing values."""
        probability: NDArray[np.float64] = self.scores["probability"].to_numpy()
        quantiles = np.quantile(probability, _QUANTILES)
        features = self.sample.drop(columns=["application_id", "decided_at"])
        return {
            "n_rows": len(self.scores),
            "n_sample": len(self.sample),
            "score_mean": float(probability.mean()),
            "missing_share": {name: float(share) for name, share in features.isna().mean().items()},
            "score_quantiles": {f"{q:.2f}": float(value) for q, value in zip(_QUANTILES, quantiles, strict=True)},
        }

    def write(self, sample: Path, scores: Path) -> None:
        """Write both as Parquet."""
        self.sample.to_parquet(sample, index=False)
        self.scores.to_parquet(scores, index=False)


def build_reference(
    candidate: "Candidate", training_set: "TrainingSet", *, sample_rows: int = _SAMPLE_ROWS
) -> Reference:
    """The reference of a candidate: the rows that it learned from, and a sample of them drawn by a fixed seed."""
    rows = training_set.rows(*candidate.settings.learned)
    scores = rows[["application_id"]].assign(probability=candidate.probabilities(rows))
    drawn = np.random.default_rng(0).choice(len(rows), min(sample_rows, len(rows)), replace=False)
    sample = rows.iloc[np.sort(drawn)]
    names = list(candidate.design_matrix.contract_features)
    # plain text again: a pandas category is read back as one, which stock readers of Parquet do not expect
    plain = {name: "object" for name in names if sample[name].dtype == "category"}
    return Reference(sample=sample[["application_id", "decided_at", *names]].astype(plain), scores=scores)
