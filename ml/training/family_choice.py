"""The choice between two families by tune rows: the one with the lower log loss. Test rows have no part in it.

``auto`` trains the boosted trees beside the logistic regression, which is their baseline anyway. A rule that needs
proof for the trees costs small lenders more than it saves; docs/decisions/0045 has the figures.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.calibration.calibrators import fit_calibrator

Floats = NDArray[np.float64]
#: Two-sided 95 %: the 0.975 quantile of the standard normal distribution.
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class FamilyChoice:
    """What was chosen, and by how much.

    ``gain``: log loss per tune row of the family passed over minus that of the chosen one, with its 95 % interval.
    """

    chosen: str
    passed_over: str
    gain: float
    low: float
    high: float
    n_rows: int

    @property
    def text(self) -> str:
        """The choice in words, for pages and tables."""
        return (
            f"{self.chosen} rather than {self.passed_over}: on {self.n_rows:,} tune rows its log loss is lower by "
            f"{self.gain:.4f} per loan (95 % interval {self.low:+.4f} to {self.high:+.4f})"
        )


def choose_family(simpler: tuple[str, Floats], other: tuple[str, Floats], defaulted: NDArray[np.bool_]) -> FamilyChoice:
    """Compare two families, each a name and its uncalibrated probabilities of tune rows; of two equal ones the simpler.

    Both are calibrated by Platt's method first, as neither is served uncalibrated.
    """
    gains = _losses(simpler[1], defaulted) - _losses(other[1], defaulted)
    (chosen, _), (passed_over, _) = (other, simpler) if gains.mean() > 0 else (simpler, other)
    gain = abs(float(gains.mean()))
    half = _Z95 * float(gains.std(ddof=1) / np.sqrt(len(gains)))
    return FamilyChoice(chosen, passed_over, gain, gain - half, gain + half, len(gains))


def _losses(raw: Floats, defaulted: NDArray[np.bool_]) -> Floats:
    probability = fit_calibrator(raw, defaulted, method="platt").apply(raw)
    return -np.where(defaulted, np.log(probability), np.log1p(-probability))
