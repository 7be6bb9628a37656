"""From a training set to a fitted candidate: rows, design matrix, estimator, policy, lineage."""

__all__ = [
    "design_matrix",
    "family_choice",
    "fitting",
    "imbalance",
    "label_life",
    "lineage",
    "policy",
    "reference",
    "samples",
    "training_set",
]
