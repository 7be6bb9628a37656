"""The families by name; a new one is one module and one entry here."""

from ml.families.boosted_trees import GradientBoosting
from ml.families.hazard import ProportionalHazards
from ml.families.logistic import LogisticRegression
from ml.families.protocol import Family
from ml.families.random_forest import RandomForest
from ml.families.scorecard import Scorecard
from warehouse.errors import SettingError

FAMILIES: tuple[type[Family], ...] = (
    GradientBoosting,
    LogisticRegression,
    Scorecard,
    RandomForest,
    ProportionalHazards,
)
#: In place of a family: training chooses one by tune rows (:mod:`ml.training.family_choice`).
AUTO = "auto"


def family_of(name: object) -> type[Family]:
    """The family that a bundle or a lineage names; raises SettingError if it is unknown."""
    for family in FAMILIES:
        if family.name == name:
            return family
    known = ", ".join(family.name for family in FAMILIES)
    raise SettingError(f"a model's family must be one of {known}: found {name!r}")


def require_family(name: str, where: str) -> None:
    """Raise SettingError unless ``name``, found at ``where``, is a family or ``auto``."""
    known = (AUTO, *(family.name for family in FAMILIES))
    if name not in known:
        raise SettingError(f"{where} must be one of {', '.join(known)}: found {name!r}")


def learns_from_open(name: str) -> bool:
    """Whether a family learns also from loans whose window is still open, by the time in which they were observed."""
    return bool(getattr(family_of(name), "learns_from_open", False))


def missing_package(family: type[Family]) -> str | None:
    """The package that a family needs and that is not installed; None if it can be trained."""
    try:
        family.packages()
    except ModuleNotFoundError as error:
        return error.name
    return None
