"""A family that the catalogue does not have: a block's scores differ from a row's, and its reasons are estimates.

It is a logistic regression. Its block form multiplies matrices in float32, which rounds otherwise than the served form,
and its contributions forget the missing values.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.bundle.bundle import Bundle
from ml.families import catalogue
from ml.families.linear.logistic import LinearModel, LogisticRegression
from ml.families.protocol import Matrix
from tests.model_factory import SETTINGS, trained_bundle

BOUND = 1e-4


@dataclass(frozen=True)
class BlockForm:
    """The terms of a :class:`LinearModel` summed by a product of matrices."""

    model: LinearModel

    def raw_scores(self, matrix: Matrix) -> NDArray[np.float32]:
        """Within ``BOUND`` of the linear model's."""
        terms = self.model.terms(matrix).astype(np.float32)
        return terms @ np.ones(terms.shape[1], dtype=np.float32) + np.float32(self.model.intercept)


class EstimatingModel(LinearModel):
    """The served form, with rough reasons."""

    def contributions(self, row: NDArray[np.float32]) -> NDArray[np.float64]:
        """Those of the row with zeros for missing values."""
        return super().contributions(np.nan_to_num(row))


@dataclass(frozen=True)
class Estimated(LogisticRegression):
    """See the module."""

    name: ClassVar[str] = "estimated"
    score_bound: ClassVar[float] = BOUND
    reasons_are_exact: ClassVar[bool] = False

    @staticmethod
    def read(directory: Path) -> BlockForm:  # type: ignore[override]  # another form than the parent's
        """The form for blocks."""
        return BlockForm(LinearModel.read(directory))

    @staticmethod
    def open(directory: Path) -> EstimatingModel:
        """The form for single rows."""
        return EstimatingModel.read(directory)


def know(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the catalogue have the family until the test ends."""
    monkeypatch.setattr(catalogue, "FAMILIES", (*catalogue.FAMILIES, Estimated))


def estimated_bundle(monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """A real bundle of the family, which the catalogue knows until the test ends; trained once in a test run."""
    know(monkeypatch)
    return _trained()


@cache
def _trained() -> Bundle:
    return trained_bundle(replace(SETTINGS, model=Estimated()))
