"""The families by name: those of single models (:mod:`ml.families.single`), and the ensemble of them."""

from ml.families.ensemble import Ensemble
from ml.families.protocol import Family
from ml.families.single import SINGLE_FAMILIES, find_family
from warehouse.errors import SettingError

FAMILIES: tuple[type[Family], ...] = (*SINGLE_FAMILIES, Ensemble)
#: In place of a family: training chooses one by tune rows (:mod:`ml.training.family_choice`).
AUTO = "auto"


def family_of(name: object) -> type[Family]:
    """The family that a bundle or a lineage names; raises SettingError if it is unknown."""
    return find_family(name, FAMILIES, "a model's family")


def require_family(name: str, where: str) -> None:
    """Raise SettingError unless ``name``, found at ``where``, is a family or ``auto``."""
    known = (AUTO, *(family.name for family in FAMILIES))
    if name not in known:
        raise SettingError(f"{where} must be one of {', '.join(known)}: found {name!r}")


def learns_from_open(name: str) -> bool:
    """Whether a family learns also from loans whose window is still open, by the time in which they were observed."""
    return family_of(name).learns_from_open
