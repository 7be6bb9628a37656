"""The families of single models, which an ensemble can have as members; the catalogue adds the ensemble itself."""

from collections.abc import Sequence

from ml.families.linear.logistic import LogisticRegression
from ml.families.linear.scorecard import Scorecard
from ml.families.protocol import Family
from ml.families.tab_transformer import TabTransformer
from ml.families.tree_based.boosted_trees import GradientBoosting
from ml.families.tree_based.catboost import CatBoost
from ml.families.tree_based.hazard import ProportionalHazards
from ml.families.tree_based.random_forest import RandomForest
from warehouse.errors import SettingError

SINGLE_FAMILIES: tuple[type[Family], ...] = (
    GradientBoosting,
    LogisticRegression,
    Scorecard,
    RandomForest,
    CatBoost,
    ProportionalHazards,
    TabTransformer,
)


def find_family(name: object, families: Sequence[type[Family]], what: str) -> type[Family]:
    """The family of this name; raises SettingError if none has it, for ``what`` names it."""
    for family in families:
        if family.name == name:
            return family
    known = ", ".join(family.name for family in families)
    raise SettingError(f"{what} must be one of {known}: found {name!r}")


def missing_package(family: type[Family] | Family) -> str | None:
    """The package that a family needs and that is not installed; None if it can be trained.

    A family with its settings is asked for these: an ensemble needs what its members need.
    """
    try:
        (family() if isinstance(family, type) else family).packages()
    except ModuleNotFoundError as error:
        return error.name
    return None


def require_installed(family: type[Family] | Family) -> None:
    """Raise SettingError if the family cannot be trained here, before anything waits for it."""
    package = missing_package(family)
    if package is not None:
        raise SettingError(
            f"the family {family.name} needs the package {package}, which is not installed; docs/rolling-out.md says "
            "how it is installed"
        )
