"""The gates as blocking checks on the registered version: a failing gate prevents its deployment."""

from collections.abc import Iterator

import dagster as dg

from orchestration.defs.training.candidates import current_candidate
from orchestration.lib.layers import REGISTERED_MODEL
from orchestration.lib.run_settings import RunSettings
from warehouse.settings import Settings

#: The gates of ``ml.judging.gates``, in its order, which a test compares; not imported from there, since that imports
#: the numerical libraries and every process that loads the definitions would wait for them.
GATES = {
    "test_has_enough_loans": "There are enough test loans, and defaults among them, for the figures to mean something.",
    "auc_reaches_floor": "The model ranks defaults better than the floor for any model.",
    "no_worse_than_champion_out_of_time": "On the same test loans it is no worse than the version in service.",
    "no_worse_than_logistic_baseline": "On the same test loans it is no worse than logistic regression.",
    "brier_beats_base_rate": "Its probabilities say more than the default rate alone.",
    "mean_probability_matches_default_rate": "The level of risk it expects is the level that came.",
    "calibration_error_is_small": "Of loans it gives 10 %, about 10 % default.",
    "auc_is_plausible": "It is not better than honest models of loan decisions are.",
    "no_feature_knows_the_outcome": "No single feature gives the outcome away.",
    "offline_equals_online": "On real rows the API computes what the model was trained on, to the bit.",
    "logged_features_equal_recomputed": "What was served lately is what the warehouse computes, to the bit.",
}


@dg.multi_asset_check(
    name="gates",
    specs=[
        dg.AssetCheckSpec(name, asset=REGISTERED_MODEL, blocking=True, description=claim)
        for name, claim in GATES.items()
    ],
)
def gates(run_settings: RunSettings) -> Iterator[dg.AssetCheckResult]:
    """What ``ml.judging.gates`` decided on the candidate."""
    settings = Settings.from_environment()
    judgement = current_candidate(settings, run_settings.active_source(settings)).read_judgement()
    if judgement is None:
        raise dg.Failure("the candidate was not judged yet: materialise model/evaluation first")
    for gate in judgement.gates:
        yield dg.AssetCheckResult(
            check_name=gate["gate"],
            asset_key=REGISTERED_MODEL,
            passed=gate["passed"],
            description=gate["message"],
            metadata={"required": gate["required"], "found": gate["found"]},
        )
