"""What the environment says: the home, who works in it, and how the text of each variable is read.

Each function reads one variable, or one kind, and raises SettingError naming the variable and what was found.
"""

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


def redis_url(env: Mapping[str, str]) -> str | None:
    """``LOANLAKE_REDIS_URL``; None for the stores of the home."""
    url = env.get("LOANLAKE_REDIS_URL") or None
    if url is not None and not url.startswith(("redis://", "rediss://", "unix://")):
        # not shown whole: it may hold a password
        raise SettingError(
            "LOANLAKE_REDIS_URL must begin with redis://, rediss:// or unix://, as in redis://127.0.0.1:6379/0: "
            f"found {url.partition(':')[0]!r}; leave it unset to keep the online store in the home"
        )
    return url


def is_required(env: Mapping[str, str], name: str) -> bool:
    """Whether the variable is ``required``, and not ``none``, the default."""
    word = env.get(name) or "none"
    if word not in ("none", "required"):
        raise SettingError(f"{name} must be 'none' or 'required': found {word!r}")
    return word == "required"


def share(env: Mapping[str, str], name: str, default: float, *, least: float = 0) -> float:
    """A share of the machine's memory within ``least``..1."""
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
    """An ISO 8601 time as naive UTC, like every time in the lake; None where it is not set."""
    text = env.get(name)
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SettingError(f"{name} must be an ISO 8601 time such as 2026-03-01T09:00: found {text!r}") from None
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def positive_number(env: Mapping[str, str], name: str, default: float, unit: str) -> float:
    """A number above 0; ``unit`` is what it counts, for the message."""
    text = env.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise SettingError(f"{name} must be a positive number of {unit}: found {text!r}")
    return value
