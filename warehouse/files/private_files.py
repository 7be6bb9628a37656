"""Make files readable by the home's owner only: almost all contain applicants' data."""

import logging
import os
import stat
from pathlib import Path

from warehouse.errors import SettingError
from warehouse.settings import Settings

_OTHERS = stat.S_IRWXG | stat.S_IRWXO

log = logging.getLogger("loanlake")


def keep_private(settings: Settings) -> None:
    """Let this process and its children create files for their owner only, and close an open home to others.

    Every program calls it first. Closing a home logs a warning, and protects its existing files too. Raises
    SettingError if the home is not a directory of its own.
    """
    os.umask(_OTHERS)
    home = settings.home
    if not home.exists():
        return
    status = home.stat()
    if status.st_mode & stat.S_ISVTX or home in (Path("/"), Path.home()):
        raise SettingError(
            f"LOANLAKE_HOME must be a directory of its own, since it is closed to other users: found {home}"
        )
    mode = stat.S_IMODE(status.st_mode)
    if not mode & _OTHERS:
        return
    try:
        home.chmod(mode & ~_OTHERS)
    except PermissionError:
        log.warning(
            "%s holds applicants' data and is open to other users (mode %o); only its owner can change that: chmod 700",
            home,
            mode,
        )
    else:
        log.warning("%s was open to other users (mode %o): it is now closed to them", home, mode)
