"""From a borrower's and applications' ids back to raw rows: which raw columns hold them, as dbt's project declares.

A lender declares it once, in the YAML of its raw tables: raw column → whose id it becomes, and the prefix before it.

::

    config: {meta: {identifies: {id: {application: lc-}, member_id: {borrower: lc-member-}}}}
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from warehouse.errors import ContractError, NotFoundError
from warehouse.settings import Settings

Kind = Literal["application", "borrower"]
_STAGING = re.compile(r"stg_(?P<lender>.+)__(?P<entity>\w+)")


@dataclass(frozen=True)
class RawTable:
    """A raw table of a lender; ``identifies``: column → kind → prefix. ``feeds``: models ``stg_<lender>__<feeds>``."""

    name: str
    lender: str
    identifies: Mapping[str, Mapping[Kind, str]]
    feeds: frozenset[str]

    def rows_of(self, ids: Mapping[Kind, Collection[str]]) -> str | None:
        """The SQL condition for the rows of these ids; None where no column could hold one."""
        conditions = [
            condition
            for column, kinds in self.identifies.items()
            for kind, prefix in kinds.items()
            for condition in _conditions(
                column, [found[len(prefix) :] for found in ids[kind] if found.startswith(prefix)]
            )
        ]
        return " or ".join(conditions) or None


def read_manifest(settings: Settings) -> Mapping[str, Any]:
    """dbt's manifest of this home, of the last build or parse; raises NotFoundError where there was none."""
    paths = [directory / "manifest.json" for directory in (settings.dbt_target, settings.dbt_parsed)]
    written = [path for path in paths if path.exists()]
    if not written:
        raise NotFoundError(f"no dbt manifest in {settings.home / 'dbt'}: build the tables with `loanlake run` first")
    found: Mapping[str, Any] = json.loads(max(written, key=lambda path: path.stat().st_mtime).read_text())
    return found


def raw_tables(manifest: Mapping[str, Any], lender: str) -> list[RawTable]:
    """The raw tables that a lender's staging models read; raises ContractError where one hides whose rows it has."""
    feeds: dict[str, set[str]] = {}
    for node in manifest["nodes"].values():
        found = _STAGING.fullmatch(node["name"]) if node["resource_type"] == "model" else None
        if found and found["lender"] == lender:
            for source in _sources(manifest, node["unique_id"]):
                feeds.setdefault(source, set()).add(found["entity"])
    tables = []
    for source in sorted(feeds):
        declared = manifest["sources"][source]
        name = f"{declared['schema']}.{declared['identifier']}"
        identifies = (declared.get("config", {}).get("meta") or declared.get("meta") or {}).get("identifies")
        if not identifies:
            raise ContractError(
                f"{name} must declare which of its columns hold the ids of applications and borrowers, as "
                "`config: {meta: {identifies: {column: {application: prefix}}}}`: found none; add it to its YAML in "
                f"{declared['original_file_path']}, then build or `dbt parse` again"
            )
        tables.append(RawTable(name, lender, identifies, frozenset(feeds[source])))
    return tables


def quoted(text: str) -> str:
    """Text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _conditions(column: str, values: Collection[str]) -> Iterator[str]:
    if not values:
        return
    yield f'trim("{column}") in ({", ".join(map(quoted, sorted(values)))})'
    numbers = [value for value in sorted(values) if value.isdecimal()]
    if numbers:
        # ids that staging reads as numbers: '007.0' is 7
        yield f'try_cast("{column}" as decimal(38, 4)) in ({", ".join(numbers)})'


def _sources(manifest: Mapping[str, Any], unique_id: str) -> Iterator[str]:
    for parent in manifest["nodes"][unique_id]["depends_on"]["nodes"]:
        if parent.startswith("source."):
            yield parent
        elif parent in manifest["nodes"]:
            yield from _sources(manifest, parent)
