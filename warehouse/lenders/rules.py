"""Reads ``warehouse/lenders/<lender>.yml``, on each use; the keys are those of :mod:`warehouse.lenders.lender`.

Every key has a default. An unknown key stops what is about this lender, with an error that names it.
"""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from warehouse.errors import SettingError
from warehouse.lenders.keys import read_keys
from warehouse.lenders.lender import Lender
from warehouse.settings import DBT_PROJECT_DIR

DIRECTORY = DBT_PROJECT_DIR / "lenders"
_NOT_FOR_SQL = ("path", "connections", "pulls", "pull_every", "streams", "decisions_to")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def read_lender(source: str, directory: Path | None = None) -> Lender:
    """The settings of a source's lender; raises SettingError naming the file, the key and what is required."""
    path = (directory or DIRECTORY) / f"{source}.yml"
    if not _NAME.fullmatch(source) or not path.exists():
        return Lender(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} must be YAML: {error}") from error
    return read_keys(Lender, content or {}, str(path), path=path)


def settings_text(project_dir: Path) -> str:
    """The settings of a dbt project's lenders, as JSON for its macros.

    ``default``: those of a lender that sets nothing. ``broken``: lenders whose file cannot be read, with the message.
    """
    directory, broken = project_dir / "lenders", broken_lenders(project_dir)
    return json.dumps(
        {
            "lenders": [
                {"source": source, **_plain(read_lender(source, directory))}
                for source in sorted(lenders_of_project(project_dir) - broken.keys())
            ],
            "default": _plain(Lender(directory)),
            "broken": broken,
        }
    )


def broken_lenders(project_dir: Path = DBT_PROJECT_DIR) -> dict[str, str]:
    """The project's lenders whose file cannot be read, each with the message; builds keep them as last built."""
    broken = {}
    for source in sorted(lenders_of_project(project_dir)):
        try:
            read_lender(source, project_dir / "lenders")
        except SettingError as error:
            broken[source] = str(error)
    return broken


def check_lenders(project_dir: Path = DBT_PROJECT_DIR) -> tuple[str, ...]:
    """Problems of the lenders' files: keys, and files and lines of the var ``lenders`` that lack each other."""
    named, directory = lenders_of_project(project_dir), project_dir / "lenders"
    filed = {path.stem for path in directory.glob("*.yml")}
    messages = [
        f"{directory / name}.yml must have a line in `vars: lenders` of dbt_project.yml: found none; add "
        f"`{name}: [applications, outcomes]`, or remove the file"
        for name in sorted(filed - named)
    ]
    messages += [
        f"{name}, in `vars: lenders` of dbt_project.yml, must have its file {directory / name}.yml: found none; write "
        "it, if only with its title"
        for name in sorted(named - filed)
    ]
    for name in sorted(filed):
        try:
            read_lender(name, directory)
        except SettingError as error:
            messages.append(str(error))
    return tuple(messages)


def lenders_of_project(project_dir: Path = DBT_PROJECT_DIR) -> frozenset[str]:
    """The lenders in the dbt project's var ``lenders``."""
    return frozenset(yaml.safe_load((project_dir / "dbt_project.yml").read_text())["vars"]["lenders"])


def publishing_lenders() -> frozenset[str]:
    """Lenders whose decisions are published to a topic, and those whose file cannot be read: it may say so."""
    broken = broken_lenders().keys()
    return frozenset(
        source for source in lenders_of_project() if source in broken or read_lender(source).decisions_to is not None
    )


def _plain(lender: Lender) -> dict[str, Any]:
    """What SQL may depend on: a pull that moves to another host builds nothing again."""
    return {name: value for name, value in asdict(lender).items() if name not in _NOT_FOR_SQL}
