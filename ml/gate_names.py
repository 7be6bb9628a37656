"""Names of gates that rules outside :mod:`ml.gates` are about; apart from it, since it imports what trains models."""

#: The one gate that judges not the candidate but what is served: the same candidate may pass it another day.
LOGGED_FEATURES = "logged_features_equal_recomputed"
#: Parity and leakage: what such a gate refuses is not the model that was judged, and no reason makes it so.
NEVER_OVERRIDDEN = frozenset(
    {"offline_equals_online", LOGGED_FEATURES, "no_feature_knows_the_outcome", "auc_is_plausible"}
)
