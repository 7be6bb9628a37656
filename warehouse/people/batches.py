"""Find a person in the files of batches, and remove them or replace their ids by pseudonyms.

A sent line is a person's if it names their borrower or application id, or contains their id anywhere (a problem quotes
the refused value). Results and decisions are found by their id columns.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from warehouse.batches.files import SENT, SENT_DRAFTS, BatchFiles, SentRow, sent_rows
from warehouse.decision_log.erasing import renamed_texts
from warehouse.files.drafts import remove_abandoned
from warehouse.files.patterns import parquet
from warehouse.people.person import Person
from warehouse.people.pseudonyms import renamed, renamed_json
from warehouse.settings import Settings
from warehouse.sql.quoting import literal

_TEXT_COLUMNS = ("problem", "inputs")


def held_in_batches(settings: Settings, person: Person) -> list[dict[str, Any]]:
    """A person's data in batches, as sent and as returned, in plain JSON types."""
    found = [
        {"batch": batch_id, **msgspec.to_builtins(row)} for batch_id, row in sent_rows(settings) if _is_of(row, person)
    ]
    for path in _results(settings):
        found += _rows_of_results(path, person)
    return found


def erase_from_batches(settings: Settings, person: Person, pattern: str, *, rename: Callable[[str], str] | None) -> int:
    """Remove a person from batches' files; returns the number of changed files. ``pattern``: their ids in free text.

    With ``rename`` rows stay, under other ids. Repeat the call to reach a batch that is being scored. Drafts of rows
    with the person are deleted: a batch that a server is still writing is then refused.
    """
    for directory in settings.batches.glob("*/"):
        remove_abandoned(directory)
    sent, results = sorted(settings.batches.glob(SENT)), _results(settings)
    changed = [path for path in sent if _erase_lines(settings, path, person, re.compile(pattern), rename)]
    changed += [path for path in settings.batches.glob(SENT_DRAFTS) if _erase_draft(path, person, re.compile(pattern))]
    changed += [path for path in results if _erase_rows(settings, path, person, pattern, rename)]
    return len(changed)


def _results(settings: Settings) -> list[Path]:
    return sorted(path for path in settings.batches.glob("*/*.parquet") if not path.name.startswith("."))


def _is_of(row: SentRow, person: Person) -> bool:
    return row.borrower_id == person.borrower_id or row.application_id in person.application_ids


def _erase_lines(
    settings: Settings, path: Path, person: Person, pattern: re.Pattern[str], rename: Callable[[str], str] | None
) -> bool:
    kept, is_changed = [], False
    with path.open("rb") as file:
        for line in file:
            row = msgspec.json.decode(line, type=SentRow)
            text = line.decode()
            if not _is_of(row, person) and not pattern.search(text):
                kept.append(line)
                continue
            is_changed = True
            if rename is not None:
                kept.append(_renamed(row, person, rename))
    if is_changed:
        _replace(settings, path, lambda draft: draft.write_bytes(b"".join(kept)))
    return is_changed


def _erase_draft(path: Path, person: Person, pattern: re.Pattern[str]) -> bool:
    with suppress(FileNotFoundError), path.open("rb") as file:
        for line in file:
            # the last line may be incomplete
            is_theirs = line.endswith(b"\n") and _is_of(msgspec.json.decode(line, type=SentRow), person)
            if is_theirs or pattern.search(line.decode(errors="replace")):
                path.unlink(missing_ok=True)
                return True
    return False


def _renamed(row: SentRow, person: Person, rename: Callable[[str], str]) -> bytes:
    names = person.names

    def of_text(text: str | None) -> str | None:
        for before, after in renamed_texts(names, rename):
            text = text.replace(before, after) if text is not None else None
        return text

    def of_id(name: str | None) -> str | None:
        return rename(name) if name in names else name

    row = msgspec.structs.replace(
        row,
        application_id=of_id(row.application_id),
        borrower_id=of_id(row.borrower_id),
        request=of_text(row.request),
        problem=of_text(row.problem),
    )
    return msgspec.json.encode(row) + b"\n"


def _erase_rows(
    settings: Settings, path: Path, person: Person, pattern: str, rename: Callable[[str], str] | None
) -> bool:
    import duckdb

    with duckdb.connect() as con:
        source = parquet(path)
        columns = [name for name, *_ in con.execute(f"describe select * from {source}").fetchall()]
        mine = _condition(columns, person, pattern)
        if not con.execute(f"select 1 from {source} where {mine} limit 1").fetchall():
            return False
        if rename is None:
            rows = f"select * from {source} where not coalesce({mine}, false)"
        else:
            rows = f"select * replace ({_new_values(columns, person, rename)}) from {source}"
        _replace(settings, path, lambda draft: con.execute(f"copy ({rows}) to {literal(str(draft))} (format parquet)"))
    return True


def _rows_of_results(path: Path, person: Person) -> list[dict[str, Any]]:
    import duckdb

    with duckdb.connect() as con:
        source = parquet(path)
        result = con.execute(f"select * from {source} limit 0")
        names = [column[0] for column in result.description or ()]
        found = con.execute(f"select * from {source} where {_condition(names, person, None)}").fetchall()
    return [{"batch": path.parent.name, **dict(zip(names, row, strict=True))} for row in found]


def _condition(columns: list[str], person: Person, pattern: str | None) -> str:
    conditions = person.conditions(columns)
    if pattern is not None:
        conditions += [f"regexp_matches({name}, {literal(pattern)})" for name in _TEXT_COLUMNS if name in columns]
    return " or ".join(conditions) or "false"


def _new_values(columns: list[str], person: Person, rename: Callable[[str], str]) -> str:
    values = {column: renamed(column, names, rename) for column, names in person.ids.items()}
    values |= {column: renamed_json(column, person.names, rename) for column in _TEXT_COLUMNS}
    return ", ".join(f"{value} as {column}" for column, value in values.items() if column in columns)


def _replace(settings: Settings, path: Path, write: Callable[[Path], object]) -> None:
    files = BatchFiles(settings, path.parent.name)
    write(files.draft_of(path))
    files.put(path)
