"""Where the files are, and how their commands are found."""

import re
from pathlib import Path

from warehouse.settings import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
#: Read by warehouse/team/object_store.py and boto3; everything of Loanlake's own is in the registry of settings.
FOREIGN = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL_S3"}
#: Without one of them, pods with homes of their own would be as many lenders.
OF_A_TEAM = {"LOANLAKE_CATALOG", "LOANLAKE_LAKE_DATA", "LOANLAKE_REDIS_URL", "LOANLAKE_ERASURE_KEY"}


def commands_of(text: str) -> set[str]:
    """The `loanlake …` commands of a script, of at most two words."""
    # a line goes on after a backslash; a word of the command itself is of small letters and hyphens
    found = re.findall(
        r"(?:^|[ (;|&])loanlake ([a-z][a-z-]+(?: [a-z][a-z-]+)?)", text.replace("\\\n", " "), re.MULTILINE
    )
    return set(found)


def without_comments(path: Path) -> str:
    """A file's lines, less those that are comments."""
    return "".join(line for line in path.read_text().splitlines(keepends=True) if not line.lstrip().startswith("#"))
