"""All variables, from the dataclasses that packages list in ``pyproject.toml`` under ``loanlake.settings``."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Literal

from warehouse.settings.home import Settings
from warehouse.settings.variable import Variable, declared, read

PREFIX = "LOANLAKE_"
#: Variables of the tests and benchmarks, which no command reads.
_OTHERS = ("LOANLAKE_TEST_", "LOANLAKE_BENCH_")


@dataclass(frozen=True)
class Effective:
    """A variable's current value and its origin."""

    variable: Variable
    value: Any
    origin: Literal["environment", "derived", "default"]


def groups() -> dict[str, tuple[Variable, ...]]:
    """Description of each declaring class → its variables."""
    return {(owner.__doc__ or "").splitlines()[0].rstrip("."): declared(owner) for owner in _owners()}


def effective(environment: Mapping[str, str]) -> Iterator[Effective]:
    """Every variable with its value; raises SettingError for the first invalid one."""
    for owner in _owners():
        given = read(owner, environment)
        whole = Settings.from_environment(environment) if owner is Settings else None
        for variable in declared(owner):
            value = given.get(variable.field, getattr(whole, variable.field, variable.default))
            is_default = value == variable.default
            yield Effective(
                variable, value, "environment" if variable.field in given else "default" if is_default else "derived"
            )


def misspelt(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each undeclared ``LOANLAKE_`` variable, with the nearest declared name."""
    given = {name for name in environment if name.startswith(PREFIX) and not name.startswith(_OTHERS)}
    # first without further imports: most environments set only the home's own variables
    if not given - {variable.name for variable in declared(Settings)}:
        return []
    known = [variable.name for owner in _owners() for variable in declared(owner)]
    return [
        f"{name} is not a setting of Loanlake and changes nothing{_nearest(name, known)}; `loanlake settings` lists all"
        for name in sorted(given - set(known))
    ]


def _nearest(name: str, known: list[str]) -> str:
    # without the common prefix, which would make any two names similar
    near = difflib.get_close_matches(name.removeprefix(PREFIX), [one.removeprefix(PREFIX) for one in known], 1, 0.5)
    return f": did you mean {PREFIX}{near[0]}?" if near else ""


def _owners() -> list[Any]:
    found = sorted(entry_points(group="loanlake.settings"), key=lambda entry: (entry.name != "home", entry.name))
    return [entry.load() for entry in found]
