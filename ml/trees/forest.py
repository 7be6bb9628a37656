"""The booster's trees as flat arrays, from XGBoost's JSON; the ONNX twin and explanations use them.

The JSON keeps every threshold, leaf and cover as exact float32; the text dump that converters use does not promise it.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from warehouse.errors import BundleError

if TYPE_CHECKING:
    from xgboost import Booster

_NO_CHILD = -1
_OBJECTIVES = ("binary:logistic", "count:poisson")


@dataclass(frozen=True)
class Tree:
    """One tree; every array is indexed by node, the root is node 0.

    ``feature``: column tested. ``threshold``: a row goes left where value < threshold; at a leaf it is the leaf's
    value. ``left``, ``right``: children, -1 at a leaf. ``missing_goes_left``: where a missing value goes. ``cover``:
    sum of the training rows' hessians that reached the node.
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    missing_goes_left: NDArray[np.bool_]
    cover: NDArray[np.float32]

    def is_leaf(self, node: int) -> bool:
        """Whether the node has no children."""
        return bool(self.left[node] == _NO_CHILD)


@dataclass(frozen=True)
class Forest:
    """Trees of log-odds or of a log rate; a row's raw score is ``base_margin`` plus one leaf of each tree."""

    trees: tuple[Tree, ...]
    base_margin: np.float32
    n_columns: int

    @classmethod
    def from_booster(cls, booster: "Booster") -> "Forest":
        """Read the booster's JSON; raises BundleError unless a score is a plain sum of leaves."""
        learner = json.loads(booster.save_raw("json"))["learner"]
        objective, kind = learner["objective"]["name"], learner["gradient_booster"].get("name", "gbtree")
        if objective not in _OBJECTIVES or kind != "gbtree":
            raise BundleError(
                f"a bundle's booster must be a gbtree with objective {' or '.join(_OBJECTIVES)}: found {kind} with "
                f"{objective}"
            )
        base_scores = json.loads(learner["learner_model_param"]["base_score"])  # a list in text: "[3.15E-1]"
        if len(base_scores) != 1:
            raise BundleError(f"a bundle's booster must have one base score: found {len(base_scores)}")
        return cls(
            trees=tuple(_tree(tree) for tree in learner["gradient_booster"]["model"]["trees"]),
            base_margin=_margin_of(float(base_scores[0]), objective),
            n_columns=int(learner["learner_model_param"]["num_feature"]),
        )


def _tree(data: dict[str, Any]) -> Tree:
    if any(data["split_type"]):
        raise BundleError("a bundle's booster must have numeric splits only: encode categories in the design matrix")
    return Tree(
        feature=np.asarray(data["split_indices"], dtype=np.int32),
        threshold=np.asarray(data["split_conditions"], dtype=np.float32),
        left=np.asarray(data["left_children"], dtype=np.int32),
        right=np.asarray(data["right_children"], dtype=np.int32),
        missing_goes_left=np.asarray(data["default_left"], dtype=bool),
        cover=np.asarray(data["sum_hessian"], dtype=np.float32),
    )


def _margin_of(base_score: float, objective: str) -> np.float32:
    """XGBoost's own log-odds or log of a base score: NumPy's logarithm differs in the last bit of one in eight."""
    import xgboost

    no_rows_read = xgboost.DMatrix(np.zeros((1, 1), dtype=np.float32))
    untrained = xgboost.Booster({"objective": objective, "base_score": base_score}, [no_rows_read])
    return np.float32(untrained.predict(no_rows_read, output_margin=True)[0])
