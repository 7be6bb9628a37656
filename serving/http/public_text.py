"""Remove file paths from reasons that callers and strangers may read."""

import re
from pathlib import Path

#: An absolute path of two parts or more, except the API's own; its last part stays.
_PATH = re.compile(r"(?<![\w:/.])/(?!v1/)(?:[^/\s'\"`,;()]+/)+([^/\s'\"`,;()]*)")


def without_paths(text: str, home: Path | None = None) -> str:
    """A reason with file names but without paths; the log has it whole. ``home`` may hold blanks.

    >>> without_paths("the log /srv/my home/outbox.sqlite is gone, see /etc/loanlake/env", Path("/srv/my home"))
    'the log outbox.sqlite is gone, see env'
    """
    if home is not None:
        text = text.replace(f"{home}/", "").replace(str(home), "the home")
    return _PATH.sub(r"\1", text)
