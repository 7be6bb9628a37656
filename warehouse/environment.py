"""What the environment says of the home, and of who works in it."""

import getpass
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from warehouse.errors import SettingError


def home_of(env: Mapping[str, str], *, default: Path) -> Path:
    """``LOANLAKE_HOME``, as a whole path."""
    home = Path(env.get("LOANLAKE_HOME") or default).expanduser().resolve()
    if wrong := sorted({"?", "%"} & set(str(home))):
        raise SettingError(
            "LOANLAKE_HOME must be a path without '?' and '%', which Dagster takes for parts of a URL, and would put "
            f"its databases elsewhere: found {', '.join(map(repr, wrong))} in {home}"
        )
    return home


def dev_name(env: Mapping[str, str]) -> str:
    """Whose lake dbt builds into: ``LOANLAKE_DEV_NAME``, or the user's name in small letters.

    It names a folder and a schema.

    >>> dev_name({"LOANLAKE_DEV_NAME": "ada"})
    'ada'
    """
    name = env.get("LOANLAKE_DEV_NAME")
    if not name:
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # an account without a name, as in some containers
            return "analyst"
        return re.sub(r"[^a-z0-9_]+", "_", user.lower())[:40]
    if not re.fullmatch(r"[a-z0-9_]{1,40}", name):
        raise SettingError(
            f"LOANLAKE_DEV_NAME must be 1 to 40 small letters, digits and underscores: found {name!r}; leave it unset "
            "for your user's name"
        )
    return name


def share_of_memory(env: Mapping[str, str], name: str, default: float, *, least: float = 0) -> float:
    """A share of the machine's memory, from ``least`` to 1."""
    text = env.get(name)
    if not text:
        return default
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not least <= share <= 1:
        raise SettingError(f"{name} must be a share of the machine's memory within {least:g}..1: found {text!r}")
    return share


def moment(env: Mapping[str, str], name: str) -> datetime | None:
    """An ISO 8601 time as naive UTC, as every time in the lake; None where the variable is not set."""
    text = env.get(name)
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SettingError(f"{name} must be an ISO 8601 time such as 2026-03-01T09:00: found {text!r}") from None
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
