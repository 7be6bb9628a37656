"""What the environment says of the home, and of who works in it."""

import getpass
import re
from collections.abc import Mapping
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
