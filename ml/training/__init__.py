"""From a training set to a fitted candidate: rows, design matrix, estimator, calibration, policy, lineage."""

__all__ = [
    "calibration",
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
    "venn_abers",
]
