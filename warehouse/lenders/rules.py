"""A lender's own settings, ``warehouse/lenders/<source>.yml``, read on each use.

::

    gates:                        # changed limits of model gates, named in ml/judging/gates.py
      max_feature_auc: {limit: 0.95, reason: "Bureau score of the day of application; minutes 2026-11"}
    honest_features:              # features that the gates would take for leaks, and why they are not
      bureau_score: "Written by the bureau before the decision; its known_at is in the file"
    publish:                      # what a run does with a model that passed; the rule is in ml/judging/publication.py
      mode: never                 # auto (the default), never, or always, which needs a person's name in `by`
      reason: "The model committee decides on each version"

The file is optional. Every changed limit needs a reason, which is shown wherever the limit applies. An unknown key
stops the run with an error that names it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

import yaml

from warehouse.errors import SettingError
from warehouse.settings import DBT_PROJECT_DIR

PublishMode = Literal["auto", "never", "always"]
DIRECTORY = DBT_PROJECT_DIR / "lenders"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class MovedLimit:
    """A gate's limit for this lender (a number, or two for a range), and why."""

    limit: float | tuple[float, float]
    reason: str


@dataclass(frozen=True)
class PublishSetting:
    """What runs do with a model that passed its gates; ``by`` and ``reason``: who chose ``always``, and why."""

    mode: PublishMode = "auto"
    reason: str = ""
    by: str = ""


@dataclass(frozen=True)
class Lender:
    """A lender's settings; ``path``: their file, which may not exist."""

    path: Path
    gates: Mapping[str, MovedLimit] = field(default_factory=dict)
    honest_features: Mapping[str, str] = field(default_factory=dict)
    publish: PublishSetting | None = None


def read_lender(source: str, directory: Path | None = None) -> Lender:
    """The settings of a source's lender; raises SettingError naming the file, the key and what is required."""
    path = (directory or DIRECTORY) / f"{source}.yml"
    if not _NAME.fullmatch(source) or not path.exists():
        return Lender(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} must be YAML: {error}") from error
    keys = _mapping(content or {}, str(path), ("gates", "honest_features", "publish"))
    return Lender(
        path,
        gates={
            name: _moved_limit(value, f"{path}: gates.{name}")
            for name, value in _mapping(keys.get("gates") or {}, f"{path}: gates").items()
        },
        honest_features={
            name: _text(value, f"{path}: honest_features.{name} must say why the feature is honest")
            for name, value in _mapping(keys.get("honest_features") or {}, f"{path}: honest_features").items()
        },
        publish=_publish(keys["publish"], f"{path}: publish") if keys.get("publish") is not None else None,
    )


def lenders_of_project() -> frozenset[str]:
    """The lenders in the dbt project's var ``lenders``."""
    return frozenset(yaml.safe_load((DBT_PROJECT_DIR / "dbt_project.yml").read_text())["vars"]["lenders"])


def _moved_limit(value: Any, where: str) -> MovedLimit:
    keys = _mapping(value, where, ("limit", "reason"))
    limit = keys.get("limit")
    reason = _text(keys.get("reason"), f"{where}.reason must say why the limit is moved")
    if isinstance(limit, int | float) and _is_number(limit):
        return MovedLimit(float(limit), reason)
    if isinstance(limit, list) and len(limit) == 2 and all(map(_is_number, limit)):
        return MovedLimit((float(limit[0]), float(limit[1])), reason)
    raise SettingError(f"{where}.limit must be a number, or two in brackets: found {limit!r}")


def _publish(value: Any, where: str) -> PublishSetting:
    keys = _mapping(value, where, ("mode", "reason", "by"))
    mode = keys.get("mode")
    if mode not in get_args(PublishMode):
        raise SettingError(f"{where}.mode must be one of {', '.join(get_args(PublishMode))}: found {mode!r}")
    if mode == "always":
        by = _text(keys.get("by"), f"{where}.by must name the person whose word `always` is")
        return PublishSetting("always", _text(keys.get("reason"), f"{where}.reason must say why"), by)
    return PublishSetting(cast(PublishMode, mode), str(keys.get("reason") or ""), str(keys.get("by") or ""))


def _mapping(value: Any, where: str, known: Iterable[str] | None = None) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise SettingError(f"{where} must hold names with values: found {value!r}")
    unknown = [key for key in value if known is not None and key not in known]
    if unknown:
        raise SettingError(f"{where} has unknown keys: found {', '.join(unknown)}; known are {', '.join(known or ())}")
    return value


def _text(value: Any, rule: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SettingError(f"{rule}: found {value!r}")
    return value.strip()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
