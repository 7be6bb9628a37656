"""Reads ``warehouse/lenders/<lender>.yml``, on each use; the keys are those of :mod:`warehouse.lenders.lender`.

Every key has a default. An unknown key stops what reads the file, with an error that names it.
"""

import re
from pathlib import Path

import yaml

from warehouse.errors import SettingError
from warehouse.lenders.keys import read_keys
from warehouse.lenders.lender import Lender
from warehouse.settings import DBT_PROJECT_DIR

DIRECTORY = DBT_PROJECT_DIR / "lenders"
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


def lenders_of_project(project_dir: Path = DBT_PROJECT_DIR) -> frozenset[str]:
    """The lenders in the dbt project's var ``lenders``."""
    return frozenset(yaml.safe_load((project_dir / "dbt_project.yml").read_text())["vars"]["lenders"])
