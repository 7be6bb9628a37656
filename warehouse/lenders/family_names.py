"""The names of the model families, for texts: this package may not import ``ml``, whose catalogue a test compares."""

FAMILY_NAMES = (
    "xgboost",
    "logistic",
    "scorecard",
    "random_forest",
    "catboost",
    "hazard",
    "tab_transformer",
    "ensemble",
)
#: In a sentence.
FAMILIES_IN_WORDS = f"{', '.join(FAMILY_NAMES[:-1])} or {FAMILY_NAMES[-1]}"
