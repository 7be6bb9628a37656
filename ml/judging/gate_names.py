"""Names of gates that other modules refer to. Light, because :mod:`ml.judging.gates` imports the training stack."""

#: The one gate that judges not the candidate but what is served: the same candidate may pass it another day.
LOGGED_FEATURES = "logged_features_equal_recomputed"
#: What such a gate refuses may know the outcome. No approval overrides it; a lender's file states why it is honest.
LEAKAGE = frozenset({"no_feature_knows_the_outcome", "auc_is_plausible"})
NEVER_OVERRIDDEN = LEAKAGE | {"offline_equals_online", LOGGED_FEATURES}
