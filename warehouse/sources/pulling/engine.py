"""dlt, imported only by a pull, without telemetry or a project of its own; and the secrets that sources need."""

import os
from pathlib import Path

from warehouse.errors import PullError, SettingError
from warehouse.lenders.connections import ConnectionSettings
from warehouse.settings.variable import masked


def require_dlt() -> None:
    """Make dlt ready to be imported; raises SettingError if it is not installed."""
    # before the import: dlt would report its use, and take settings from the folder .dlt of the working directory
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["DLT_PROJECT_DIR"] = os.devnull
    try:
        import dlt  # noqa: F401  # only whether it is installed
    except ImportError as error:
        raise SettingError(
            f"databases and APIs are read with dlt, which is not installed ({error}): pip install 'loanlake[dlt]'"
        ) from None


def secret_of(name: str, connection: ConnectionSettings) -> str | None:
    """The secret that the connection names; raises SettingError if it is not there."""
    if connection.secret_from is None:
        return None
    kind, _, place = connection.secret_from.partition(":")
    where = f"the secret of the connection {name} must be in"
    if kind == "env":
        if not (found := os.environ.get(place)):
            raise SettingError(f"{where} the environment variable {place}: it is not set, or empty")
        return found
    try:
        found = Path(place).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingError(f"{where} the file {place}: it cannot be read ({reason})") from None
    if not found:
        raise SettingError(f"{where} the file {place}: it is empty")
    return found


def fault(name: str, what: str, error: BaseException | str, secret: str | None, do: str) -> PullError:
    """An error of a source, in one line and without the secret."""
    text = masked(" ".join(str(error).split()))
    if secret:
        text = text.replace(secret, "***")
    return PullError(f"{name}: {what}: {text}; {do}")
