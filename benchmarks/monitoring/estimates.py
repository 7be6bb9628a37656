"""Performance before labels of 24 months of 5,000 decisions: Loanlake's ``cbpe`` beside NannyML's.

Both get the same 20,000 labelled reference loans, whose served probabilities have twice the odds of the true ones, and
the same decisions. NannyML runs in an environment of its own that uv makes from PyPI: its last release does not install
on Python 3.13, and needs statsmodels besides what it declares. NannyML calibrates by isotonic regression, Loanlake by a
line in the log-odds; both must come within .02 of each other and, on average, of the truth before anything is reported.
Loanlake also draws the intervals (400 draws); NannyML gives a sampling error without that of the calibration.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.comparison import Comparison
from ml.estimates.estimate import Estimator, LabelledReference

N_REFERENCE, N_MONTHS, N_DECISIONS, CUT_OFF = 20_000, 24, 5_000, 0.2
NANNYML = ("nannyml==0.13.1", "statsmodels")
WHAT = f"AUC, precision, recall and F1 of {N_MONTHS} months of {N_DECISIONS:,} decisions before labels"
_TOLERANCE = 0.02


def run() -> list[Comparison]:
    """One round of each; the estimates are compared first."""
    generator = np.random.default_rng(0)

    def loans(n: int) -> tuple[np.ndarray, np.ndarray]:
        chance = 1 / (1 + np.exp(2.2 - generator.normal(0, 0.9, n)))
        served = 2 * chance / (1 + chance)
        return served, generator.uniform(size=n) < chance

    probability, defaulted = loans(N_REFERENCE)
    months = [loans(N_DECISIONS) for _ in range(N_MONTHS)]
    started = time.perf_counter()
    no_features = np.empty((N_REFERENCE, 0), dtype=np.float32)
    estimator = Estimator(LabelledReference(no_features, probability, defaulted, probability), cut_off=CUT_OFF)
    found = estimator.recalibrate("cbpe", no_features)
    ours = [estimator.estimate(found, served) for served, _ in months]
    seconds = time.perf_counter() - started
    truth = [estimator.truth(*each) for each in months]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _frame(probability, defaulted).to_parquet(folder / "reference.parquet")
        pd.concat([_frame(*each) for each in months]).to_parquet(folder / "months.parquet")
        peer = _nannyml(folder)
    if peer is None:
        return [Comparison(WHAT, f"NannyML: {NANNYML[0]} could not be installed", "s", seconds, float("nan"), False)]
    for metric, values in peer["estimates"].items():
        estimated = np.array([each[metric].estimated for each in ours])
        apart = float(np.abs(estimated - np.array(values)).max())
        error = float(np.mean(estimated - np.array([each[metric] for each in truth])))
        print(f"{metric}: at most {apart:.4f} from NannyML's, mean error {error:+.4f}", file=sys.stderr)
        if apart > _TOLERANCE or abs(error) > _TOLERANCE:
            raise ValueError(f"the two estimates of {metric} differ by {apart:.4f}: there is nothing to compare")
    return [Comparison(WHAT, f"NannyML {peer['version']}", "s", seconds, peer["seconds"], higher_is_better=False)]


def _frame(probability: np.ndarray, defaulted: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "probability": probability,
            "declined": (probability >= CUT_OFF).astype(int),
            "defaulted": defaulted.astype(int),
        }
    )


def _nannyml(folder: Path) -> dict | None:
    python, uv = folder / "nannyml" / "bin" / "python", Path(sys.executable).with_name("uv")
    made = subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "nannyml"], check=False)
    if made.returncode == 0:
        made = subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *NANNYML], check=False)
    if made.returncode != 0:
        return None
    script = Path(__file__).with_name("nannyml_estimates.py")
    command = [python, script, folder, str(N_DECISIONS)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))
