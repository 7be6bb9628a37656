"""Where the files are, and how their commands are found."""

import re
from pathlib import Path

from warehouse.settings import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
#: Read by DuckDB's httpfs; everything of Loanlake's own is in the registry of settings.
FOREIGN = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "DUCKDB_S3_ENDPOINT", "DUCKDB_S3_USE_SSL"}


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
