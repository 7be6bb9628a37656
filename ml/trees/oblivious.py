"""CatBoost's trees as a forest, from its JSON: then the twin and the explanations of boosted trees serve them.

In an oblivious tree all nodes of a level share one test, ``value > border``. The outcome of test i is bit i of the
leaf's index. A missing value passes none.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ml.trees.forest import Forest, Tree
from warehouse.errors import BundleError

_NO_CHILD = -1


def forest_of(exported: Mapping[str, Any], *, n_columns: int, missing_of: Sequence[int] = ()) -> Forest:
    """Read the JSON of a CatBoost model; leaves become float32, the precision of served scores.

    ``missing_of``: the training columns after the first ``n_columns`` are 1 where this column is missing, else 0.
    Raises BundleError unless a score is a plain sum of leaves, over numeric splits of oblivious trees.
    """
    if "oblivious_trees" not in exported:
        raise BundleError(f"a bundle's CatBoost model must have oblivious trees: found {', '.join(sorted(exported))}")
    scale, biases = exported["scale_and_bias"]
    if scale != 1 or len(biases) != 1:
        raise BundleError(f"a bundle's CatBoost model must have scale 1 and one bias: found {scale} and {len(biases)}")
    for feature in exported["features_info"]["float_features"]:
        if feature["nan_value_treatment"] == "AsTrue":
            raise BundleError(
                "a missing value must count as the lowest in a bundle's CatBoost model: found nan_mode Max for its "
                f"column {feature['feature_index']}"
            )
    return Forest(
        trees=tuple(_tree(tree, n_columns, missing_of) for tree in exported["oblivious_trees"]),
        base_margin=np.float32(biases[0]),
        n_columns=n_columns,
    )


def _tree(data: Mapping[str, Any], n_columns: int, missing_of: Sequence[int]) -> Tree:
    """The full binary tree, level by level; node i has the children 2i + 1 and 2i + 2.

    The last test is the root's, so that leaves keep their order; CatBoost's own Shapley values read a tree so too.
    """
    splits = (data["splits"] or [])[::-1]
    if any(split["split_type"] != "FloatFeature" for split in splits):
        raise BundleError("a bundle's CatBoost model must have numeric splits only: encode categories before")
    n_levels, n_leaves = len(splits), 2 ** len(splits)
    tested = np.array([split["float_feature_index"] for split in splits], dtype=np.int32)
    border = np.array([split["border"] for split in splits], dtype=np.float32)
    of_missing = tested >= n_columns
    column = np.array([missing_of[one - n_columns] if one >= n_columns else one for one in tested], dtype=np.int32)
    # value > border goes right where value < the next greater number goes left. A test for a missing value: nothing is
    # below minus infinity, so only missing values go left, and the two sides are exchanged
    threshold = np.where(of_missing, np.float32(-np.inf), np.nextafter(border, np.float32(np.inf)))
    leaf = np.arange(n_leaves) ^ int(of_missing @ (1 << np.arange(n_levels)[::-1]))

    level = np.repeat(np.arange(n_levels), 1 << np.arange(n_levels))
    node, no_child = np.arange(n_leaves - 1, dtype=np.int32), np.full(n_leaves, _NO_CHILD, dtype=np.int32)
    value = np.asarray(data["leaf_values"], dtype=np.float64)[leaf]
    cover = [np.asarray(data["leaf_weights"], dtype=np.float64)[leaf]]
    for _ in splits:
        cover.insert(0, cover[0].reshape(-1, 2).sum(axis=1))
    return Tree(
        feature=np.concatenate([column[level], np.zeros(n_leaves, dtype=np.int32)]),
        threshold=np.concatenate([threshold[level], value.astype(np.float32)]),
        left=np.concatenate([2 * node + 1, no_child]),
        right=np.concatenate([2 * node + 2, no_child]),
        missing_goes_left=np.ones(2 * n_leaves - 1, dtype=np.bool_),
        cover=np.concatenate(cover).astype(np.float32),
    )
