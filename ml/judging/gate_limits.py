"""Where the gates of :mod:`ml.judging.gates` stand: the defaults, and what a lender's file moves."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from warehouse.errors import SettingError
from warehouse.lenders.rules import Lender, MovedLimit


@dataclass(frozen=True)
class GateLimits:
    """Where the gates stand; a lender may move each but parity's, with a reason (:mod:`ml.judging.gate_limits`).

    ``min_test_rows``, ``min_test_defaults``: below 50 defaults the 95 % interval of an AUC is wider than ±.08.
    ``min_auc``: a floor for any model. ``auc_margin``, ``brier_margin``: what counts as no worse; see the module.
    ``max_excess_ece``: calibration error beyond what luck gives a perfectly calibrated model on so many loans.
    ``mean_ratio``: bounds of mean probability over default rate.
    ``max_auc``, ``max_train_test_gap``: application and behaviour scores rank at .65–.85; beyond .95, or .12 better on
    the rows it was trained on, something is leaking or memorised.
    ``max_feature_auc``, ``max_missing_auc``, ``max_isolated``: see :mod:`ml.judging.leakage`.
    ``max_onnx_difference``: between the probabilities of the served model and of the booster; never moved.
    ``moved``: the limits that the lender moved, and why. ``honest_features``: features that the lender states to be no
    leak, and why: they are measured and shown, and refuse nothing.
    """

    min_test_rows: int = 500
    min_test_defaults: int = 50
    min_auc: float = 0.60
    auc_margin: float = 0.005
    brier_margin: float = 0.001
    max_excess_ece: float = 0.03
    mean_ratio: tuple[float, float] = (0.75, 1.33)
    max_auc: float = 0.95
    max_train_test_gap: float = 0.12
    max_feature_auc: float = 0.85
    max_missing_auc: float = 0.75
    max_isolated: float = 0.10
    max_onnx_difference: float = 1e-6
    moved: Mapping[str, str] = field(default_factory=dict)
    honest_features: Mapping[str, str] = field(default_factory=dict)


#: The limits that each gate reads; a test compares them with the fields of :class:`GateLimits`.
LIMITS_OF = {
    "test_has_enough_loans": ("min_test_rows", "min_test_defaults"),
    "auc_reaches_floor": ("min_auc",),
    "no_worse_than_champion_out_of_time": ("auc_margin", "brier_margin"),
    "no_worse_than_logistic_baseline": ("auc_margin",),
    "mean_probability_matches_default_rate": ("mean_ratio",),
    "calibration_error_is_small": ("max_excess_ece",),
    "auc_is_plausible": ("max_auc", "max_train_test_gap"),
    "no_feature_knows_the_outcome": ("max_feature_auc", "max_missing_auc", "max_isolated"),
}


#: Parity is not a matter of degree: what is served is what was judged, or it is another model.
IMMOVABLE = frozenset({"max_onnx_difference"})
_MOVABLE = {
    each.name: each.default
    for each in fields(GateLimits)
    if isinstance(each.default, int | float | tuple) and each.name not in IMMOVABLE
}


def limits_of(lender: Lender) -> GateLimits:
    """The lender's limits; raises SettingError for a name that is not a limit, or a limit that cannot be moved."""
    values: dict[str, Any] = {name: _value(lender, name, moved) for name, moved in lender.gates.items()}
    return GateLimits(
        **values,
        moved={name: moved.reason for name, moved in lender.gates.items()},
        honest_features=dict(lender.honest_features),
    )


def _value(lender: Lender, name: str, moved: MovedLimit) -> int | float | tuple[float, float]:
    where = f"{lender.path}: gates.{name}"
    if name in IMMOVABLE:
        raise SettingError(f"{where} cannot be moved, for no reason: found {moved.limit}; remove it")
    if name not in _MOVABLE:
        raise SettingError(f"{where} must be a limit of ml/judging/gates.py; known are {', '.join(_MOVABLE)}")
    default, found = _MOVABLE[name], moved.limit
    if isinstance(default, tuple) != isinstance(found, tuple):
        rule = "two numbers, low and high" if isinstance(default, tuple) else "one number"
        raise SettingError(f"{where}.limit must be {rule}: found {found}")
    if isinstance(default, int) and isinstance(found, float):
        if not found.is_integer():
            raise SettingError(f"{where}.limit must be a whole number: found {found}")
        return int(found)
    return found
