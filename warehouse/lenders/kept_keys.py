"""A lender's file when ``loanlake lender new`` writes it again: the keys that it does not propose stay as they are."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from warehouse.errors import SettingError

#: Keys that a proposal writes, or leaves out where its files need none; it does not replace a title.
PROPOSED = ("label", "dates", "request", "limits", "files")
_KEY = re.compile(r"^(?P<quote>[\"']?)(?P<name>\w+)(?P=quote) *:")


def with_kept_keys(written: str, existing: str, file: str) -> tuple[str, tuple[str, ...]]:
    """The text ``written`` with the keys of ``existing`` that are not proposed, as they stand there; and their names.

    Raises SettingError if the existing text is not YAML of keys, each on lines of its own.

    >>> with_kept_keys("title: Mine\\nlabel: {}\\n", "# ours\\npull_every: hour\\nlabel: {a: 1}\\n", "mine.yml")
    ('title: Mine\\nlabel: {}\\n# ours\\npull_every: hour\\n', ('pull_every',))
    """
    before, now = _content(existing, file), yaml.safe_load(written)
    kept = {name: text for name, text in _blocks(existing).items() if name not in {*PROPOSED, *now}}
    merged = "".join([written if written.endswith("\n") else f"{written}\n", *kept.values()])
    if _content(merged, file) != {**{name: before[name] for name in before if name not in {*PROPOSED, *now}}, **now}:
        raise SettingError(
            f"{file} must have each key on lines of its own, without anchors, so that those that are not proposed can "
            "be kept: found another layout; write it so, or move the file elsewhere, first"
        )
    return merged, tuple(kept)


def title_of(existing: str, file: str) -> str | None:
    """The title that the file gives the lender, if any."""
    found = _content(existing, file).get("title")
    return None if found is None else str(found)


def has_proposed_keys(existing: str, file: str) -> bool:
    """Whether a proposal would replace anything of the file."""
    return not {*PROPOSED}.isdisjoint(_content(existing, file))


def _content(text: str, file: str) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise SettingError(f"{file} must be YAML: {error}") from None
    if not isinstance(found, dict):
        raise SettingError(f"{file} must be keys with values: found {type(found).__name__}")
    return found


def _blocks(text: str) -> dict[str, str]:
    """Each top-level key's lines, with the comments before it."""
    blocks, waiting, name = dict[str, str](), "", ""
    for line in text.splitlines(keepends=True):
        if found := _KEY.match(line):
            name = found["name"]
            blocks[name], waiting = waiting + line, ""
        elif line.startswith("#") or not line.strip() or not name:
            waiting += line
        else:
            blocks[name], waiting = blocks[name] + waiting + line, ""
    return {each: block if block.endswith("\n") else f"{block}\n" for each, block in blocks.items()}
