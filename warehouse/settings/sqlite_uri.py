"""A SQLite file as SQLAlchemy names it, whatever characters its path has."""

from pathlib import Path


def sqlite_uri(path: Path) -> str:
    """The URI of this file.

    >>> sqlite_uri(Path("/srv/a#b/runs.db"))
    'sqlite:////srv/a%23b/runs.db'
    """
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(path)).render_as_string()
