"""Files of the home that every machine of a team must have: one table of the server is the truth, homes follow it.

A file is written by a process that holds a turn for it (:func:`shared_turn`) and pushed when the turn ends; a push is
one transaction, so that a bundle never follows the deployment that names it. Pushes take turns, so that their positions
grow in the order of their commits: a machine asks for what is above its last position.

What a turn changed on its machine and could not push, because the server went away or the process was killed, is taken
back by the next pull: a machine must not serve what the team does not have.
"""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.errors import TeamError
from warehouse.files.drafts import is_alive
from warehouse.files.replacing import replace_file
from warehouse.files.turns import file_turn, file_turn_if_free
from warehouse.settings import Settings
from warehouse.team.server import server

if TYPE_CHECKING:
    from warehouse.team.server import Connection

#: Files of batches go only to the machine that needs them.
_NOT_FOLLOWED = "serving/batches/"
#: How long a long-lived process trusts what it saw.
_FRESH_SECONDS = 0.2
_PUSHING = 5_364_151_728  # an arbitrary constant: the advisory lock of pushes
#: Homes that a thread of this process keeps in step: the API must answer while the server is away.
_followed: set[Path] = set()
_pulled_at: dict[Path, float] = {}


@contextmanager
def shared_turn(settings: Settings, lock: Path, *paths: Path) -> Iterator[None]:
    """Hold a lock file for the machines of a team, with these files or folders as the server has them.

    They are pushed at the end. Not reentrant. Raises TeamError if the server cannot be reached.
    """
    if settings.catalog is None:
        with file_turn(lock):
            yield
        return
    with server(settings, f"turn of {_name(settings, lock)}") as connection:
        connection.execute("select pg_advisory_lock(%s)", [_number(settings, lock)])
        _restore(settings, connection, paths)
        with _unpushed(settings, paths):
            try:
                yield
            finally:
                _push(settings, connection, paths)


@contextmanager
def _unpushed(settings: Settings, paths: Sequence[Path]) -> Iterator[None]:
    """Note what is being changed until it is pushed; the note of a push that failed is of no process."""
    if not paths:
        yield
        return
    note = settings.team / "unpushed" / f"{uuid.uuid4()}.json"
    names = [_name(settings, path) for path in paths]
    replace_file(note, json.dumps({"process": os.getpid(), "paths": names}))
    try:
        yield
    except BaseException:
        replace_file(note, json.dumps({"process": None, "paths": names}))
        raise
    note.unlink()


def _take_back(settings: Settings, connection: "Connection") -> None:
    for note in (settings.team / "unpushed").glob("*.json"):
        noted = json.loads(note.read_text())
        if noted["process"] is None or not is_alive(noted["process"]):
            _restore(settings, connection, [_place(settings, name) for name in noted["paths"]])
            note.unlink()


@contextmanager
def shared_turn_if_free(settings: Settings, lock: Path) -> Iterator[bool]:
    """As :func:`shared_turn` without files and without waiting: False if another process has it."""
    if settings.catalog is None:
        with file_turn_if_free(lock) as is_ours:
            yield is_ours
        return
    with server(settings, f"turn of {_name(settings, lock)}") as connection:
        row = connection.execute("select pg_try_advisory_lock(%s)", [_number(settings, lock)]).fetchone()
        yield row is not None and row[0] is True


def push(settings: Settings, *paths: Path) -> None:
    """Make these files, or all files of these folders, the team's; a missing one is removed everywhere."""
    if settings.catalog is not None:
        with server(settings, "push files") as connection:
            _push(settings, connection, paths)


def restore(settings: Settings, *paths: Path) -> None:
    """Make these files or folders as the server has them."""
    if settings.catalog is not None:
        with server(settings, "restore files") as connection:
            _restore(settings, connection, paths)


def pull(settings: Settings, connection: "Connection | None" = None) -> int:
    """Bring what changed since the last pull of this home; returns the number of files."""
    if settings.catalog is None:
        return 0
    if connection is None:
        with server(settings, "pull files") as own:
            return _pull(settings, own)
    return _pull(settings, connection)


def fresh(settings: Settings) -> None:
    """Pull before reading, unless this process did so a moment ago or a thread of it follows the server."""
    if settings.catalog is None or settings.home in _followed:
        return
    if time.monotonic() - _pulled_at.get(settings.home, -_FRESH_SECONDS) >= _FRESH_SECONDS:
        pull(settings)
        _pulled_at[settings.home] = time.monotonic()


def follow(settings: Settings) -> None:
    """From now on the caller pulls; readers of this process take the files as they are, even without the server."""
    _followed.add(settings.home)


def _pull(settings: Settings, connection: "Connection") -> int:
    place = settings.team / "position"
    with file_turn(settings.team / "pull.lock"):
        _take_back(settings, connection)
        seen = int(place.read_text()) if place.exists() else 0
        row = connection.execute("select coalesce(max(position), 0) from loanlake.files").fetchone()
        newest = int(row[0]) if row is not None else 0
        if newest == seen:
            return 0
        if newest < seen:  # the server was restored from a backup
            seen = 0
        changed = connection.execute(
            "select path, content, mode from loanlake.files "
            "where position > %s and position <= %s and not starts_with(path, %s)",
            [seen, newest, _NOT_FOLLOWED],
        ).fetchall()
        for path, content, mode in sorted(changed, key=_deployments_last):
            _write(_place(settings, path), content, mode)
        replace_file(place, str(newest))
    return len(changed)


def _push(settings: Settings, connection: "Connection", paths: Iterable[Path]) -> None:
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [_PUSHING])
        known = _known(settings, connection, paths)
        row = connection.execute("select nextval('loanlake.positions')").fetchone()
        position = row[0] if row is not None else 0
        for path in _local(paths):
            name, content = _name(settings, path), path.read_bytes()
            if known.pop(name, None) == hashlib.md5(content, usedforsecurity=False).hexdigest():
                continue
            connection.execute(
                "insert into loanlake.files values (%s, %s, %s, %s) on conflict (path) do update "
                "set content = excluded.content, mode = excluded.mode, position = excluded.position",
                [name, content, path.stat().st_mode & 0o777, position],
            )
        gone = [name for name, digest in known.items() if digest is not None]
        connection.execute(
            "update loanlake.files set content = null, position = %s where path = any(%s)", [position, gone]
        )


def _restore(settings: Settings, connection: "Connection", paths: Iterable[Path]) -> None:
    known = _known(settings, connection, paths)
    for path in _local(paths):
        # one that the server never had is from before the home joined the team: the next push takes it along
        if known.get(_name(settings, path)) == hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest():
            del known[_name(settings, path)]
    rows = connection.execute("select path, content, mode from loanlake.files where path = any(%s)", [list(known)])
    for path, content, mode in sorted(rows.fetchall(), key=_deployments_last):
        _write(_place(settings, path), content, mode)


def _known(settings: Settings, connection: "Connection", paths: Iterable[Path]) -> dict[str, str | None]:
    """The digests of what the server has, None for a removed file."""
    names = [_name(settings, path) for path in paths]
    found = connection.execute(
        "select path, md5(content) from loanlake.files where path = any(%s) "
        "or exists (select from unnest(%s::text[]) as folder where starts_with(path, folder || '/'))",
        [names, names],
    )
    return dict(found.fetchall())


def _local(paths: Iterable[Path]) -> Iterator[Path]:
    """The files of these folders, without locks and drafts."""
    for given in paths:
        found = sorted(given.rglob("*")) if given.is_dir() else [given]
        for path in found:
            hidden = any(part.startswith(".") for part in path.relative_to(given.parent).parts)
            if path.is_file() and path.suffix != ".lock" and not hidden:
                yield path


def _write(path: Path, content: bytes | None, mode: int) -> None:
    if content is not None:
        replace_file(path, bytes(content), mode=mode & 0o777)
        return
    path.unlink(missing_ok=True)


def _place(settings: Settings, name: str) -> Path:
    place = Path(os.path.normpath(settings.home / name))
    # whoever can write to the server must not write elsewhere on each machine
    if not place.is_relative_to(settings.home) or place == settings.home:
        raise TeamError(f"the server's table loanlake.files names {name!r}, which is not below a home: delete that row")
    return place


def _deployments_last(row: tuple[str, bytes | None, int]) -> tuple[bool, str]:
    return row[0].endswith("/deployment.json"), row[0]


def _name(settings: Settings, path: Path) -> str:
    return path.relative_to(settings.home).as_posix()


def _number(settings: Settings, lock: Path) -> int:
    digest = hashlib.sha256(f"loanlake {_name(settings, lock)}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
