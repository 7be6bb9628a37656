"""Location of the code: a clone of the repository, or the packages of an installed wheel."""

from collections.abc import Mapping
from pathlib import Path

#: The directory that holds the packages: the repository, or site-packages.
REPOSITORY = Path(__file__).resolve().parents[2]
DBT_PROJECT_DIR = REPOSITORY / "warehouse"
IS_CLONE = (REPOSITORY / "pyproject.toml").exists()


def default_home(environment: Mapping[str, str], *, is_clone: bool = IS_CLONE) -> Path:
    """``var/`` of a clone; for an installed wheel the user's data directory of the XDG specification.

    Independent of the working directory: dbt, Dagster, the API and commands must find the same lake.

    >>> str(default_home({"XDG_DATA_HOME": "/srv/data"}, is_clone=False))
    '/srv/data/loanlake'
    """
    if is_clone:
        return REPOSITORY / "var"
    # the specification requires ignoring a relative path
    given = Path(environment.get("XDG_DATA_HOME") or "").expanduser()
    return (given if given.is_absolute() else Path.home() / ".local" / "share") / "loanlake"
