"""NannyML's side of ``estimates.py``, run by the Python of NannyML's own environment, which lacks Loanlake.

``python nannyml_estimates.py FOLDER CHUNK`` estimates ``FOLDER/months.parquet`` from ``FOLDER/reference.parquet`` by
CBPE, in chunks of CHUNK rows, and prints estimates by metric, seconds and version as JSON. Imports are not counted.
"""

import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import pandas as pd

METRICS = {"roc_auc": "auc", "precision": "precision", "recall": "recall", "f1": "f1"}


def main(folder: Path, chunk: int) -> None:
    """Estimate and report."""
    reference, months = (pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "months"))
    started = time.perf_counter()
    estimator = nannyml.CBPE(
        y_pred_proba="probability",
        y_pred="declined",
        y_true="defaulted",
        problem_type="classification_binary",
        metrics=list(METRICS),
        chunk_size=chunk,
    )
    frame = estimator.fit(reference).estimate(months).to_df()
    seconds = time.perf_counter() - started
    frame = frame[frame[("chunk", "period")] == "analysis"]
    found = {ours: frame[(theirs, "value")].tolist() for theirs, ours in METRICS.items()}
    print(json.dumps({"estimates": found, "seconds": seconds, "version": version("nannyml")}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
