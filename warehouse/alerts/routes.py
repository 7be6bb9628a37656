"""Who is notified of which alerts: the file of routes, whose addresses come from the environment or from files.

::

    routes:
      risk-team:
        url: {environment: RISK_TEAM_URL}
        severity: high
        lenders: [mybank]
      operations:
        url: {file: /run/secrets/operations-url}
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Self

import msgspec
import yaml
from msgspec import Meta

from warehouse.errors import SettingError
from warehouse.settings import Settings
from warehouse.settings.variable import Variable, read

_SEVERITIES = ("low", "high")


@dataclass(frozen=True)
class AlertOptions:
    """Where alerts are sent."""

    alert_routes: Annotated[
        Path | None,
        Variable(
            "File with the routes of alerts: docs/alerts.md.",
            must="a path",
            otherwise="`alert_routes.yml` in the home; without that file, alerts are sent to no one",
            parse=Path,
        ),
    ] = None
    alert_attempts: Annotated[
        int,
        Meta(ge=1, le=100),
        Variable("How often a message is tried; the waits between double from one minute to an hour."),
    ] = 10

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the options; raises SettingError naming the invalid variable."""
        return cls(**read(cls, environment))


class _Address(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    environment: str | None = None
    file: str | None = None


class _Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: _Address
    severity: Literal["low", "high"] = "low"
    lenders: tuple[str, ...] = ()


class _Routes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    routes: dict[str, _Route]


@dataclass(frozen=True)
class Route:
    """One address, never shown. ``severity``: the least that it is notified of; ``lenders``: empty for all.

    ``problem``: why its address is not known; nothing is sent to it, and other routes are notified all the same.
    """

    name: str
    url: str = field(repr=False)
    severity: Literal["low", "high"] = "low"
    lenders: tuple[str, ...] = ()
    problem: str = ""

    def takes(self, source: str | None, severity: str) -> bool:
        """Whether it is notified of such an alert; an alert of all lenders (None) goes to each route."""
        is_severe_enough = _SEVERITIES.index(severity) >= _SEVERITIES.index(self.severity)
        return is_severe_enough and (source is None or not self.lenders or source in self.lenders)


def read_routes(
    settings: Settings, options: AlertOptions, environment: Mapping[str, str] = os.environ
) -> tuple[Route, ...]:
    """The routes; empty if there is no file. Raises SettingError naming the file and what is required.

    An address that is missing or unreadable is the problem of its route alone.
    """
    path = options.alert_routes or settings.alert_routes
    if options.alert_routes is None and not path.exists():
        return ()
    try:
        declared = msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), _Routes)
    except OSError as error:
        raise SettingError(f"the file of alert routes, {path}, cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise SettingError(f"the file of alert routes, {path}, must be YAML in UTF-8") from None  # it may hold a secret
    except msgspec.ValidationError as error:
        raise SettingError(
            f"the file of alert routes, {path}, must map each route under `routes` to url, severity and lenders, and "
            f"url to the name of an environment variable or a file, never to the address itself: {error}"
        ) from None
    return tuple(_route(name, each, path, environment) for name, each in declared.routes.items())


def _route(name: str, declared: _Route, path: Path, environment: Mapping[str, str]) -> Route:
    where = f"{path}: route {name}: url"
    if (declared.url.environment is None) == (declared.url.file is None):
        raise SettingError(f"{where} must name one of environment and file: found both or neither")
    try:
        return Route(name, _url(where, declared.url, environment), declared.severity, declared.lenders)
    except SettingError as error:
        return Route(name, "", declared.severity, declared.lenders, problem=str(error))


def _url(where: str, address: _Address, environment: Mapping[str, str]) -> str:
    if address.environment is not None:
        url, named = environment.get(address.environment, ""), f"the environment variable {address.environment}"
    else:
        named = f"the file {address.file}"
        try:
            url = Path(str(address.file)).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"{where}: {named} cannot be read: {type(error).__name__}") from None
    if "://" not in url:
        raise SettingError(f"{where}: {named} must hold an address of Apprise, such as mailto://…: found no ://")
    return url.strip()
