"""Find raw rows by borrower and application ids, using the declarations in dbt's project.

A lender declares in the YAML of its raw tables: raw column → whose id it holds, and the prefix that staging adds.

::

    config: {meta: {identifies: {id: {application: lc-}, member_id: {borrower: lc-member-}}, personal: [zip_code]}}

``personal`` columns are emptied when a person's row is kept under a pseudonym; staging must not need them.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from warehouse.errors import ContractError, DbtProjectError
from warehouse.settings import DBT_PROJECT_DIR, Settings
from warehouse.sql.quoting import identifier, literal
from warehouse.values.formats import BLANKS, WHOLE_FLOAT

Kind = Literal["application", "borrower"]
_STAGING = re.compile(r"stg_(?P<lender>.+)__(?P<entity>\w+)")


@dataclass(frozen=True)
class RawTable:
    """``identifies``: column → kind → prefix. ``feeds``: ``stg_<lender>__<feeds>``. ``personal``: columns to empty."""

    name: str
    lender: str
    identifies: Mapping[str, Mapping[Kind, str]]
    feeds: frozenset[str]
    personal: tuple[str, ...] = ()

    @property
    def entity(self) -> str:
        """The kind of file that fills it."""
        return self.name.removeprefix(f"raw.{self.lender}_")

    @property
    def staging_models(self) -> set[str]:
        """The models built from its rows."""
        return {f"stg_{self.lender}__{entity}" for entity in self.feeds}

    @property
    def prefixes(self) -> set[str]:
        """Prefixes of its ids."""
        return {prefix for kinds in self.identifies.values() for prefix in kinds.values()}

    def rows_of(self, ids: Mapping[Kind, Collection[str]]) -> str | None:
        """The SQL condition for rows with these ids; None if no column can hold one."""
        conditions = [
            condition
            for column, kinds in self.identifies.items()
            for kind, prefix in kinds.items()
            for condition in _conditions(
                column, [found[len(prefix) :] for found in ids[kind] if found.startswith(prefix)]
            )
        ]
        return " or ".join(conditions) or None

    def texts_of(self, column: str, ids: Mapping[Kind, Collection[str]]) -> dict[str, str]:
        """A column's text for each of these ids, without prefix → the id."""
        return {
            found[len(prefix) :]: found
            for kind, prefix in self.identifies.get(column, {}).items()
            for found in ids[kind]
            if found.startswith(prefix)
        }

    def renamed(self, ids: Mapping[Kind, Collection[str]], name: Callable[[str], str]) -> dict[str, str]:
        """Column → SQL of its value after renaming these ids to ``name(id)``; personal columns become null."""
        values = dict.fromkeys(self.personal, "null")
        for column in self.identifies:
            cases = [
                f"when {condition} then {literal(self._text(column, name(found)))}"
                for text, found in self.texts_of(column, ids).items()
                for condition in _conditions(column, [text])
            ]
            if cases:
                values[column] = f'case {" ".join(cases)} else "{column}" end'
        return values

    def _text(self, column: str, found: str) -> str:
        prefix = max((each for each in self.identifies[column].values() if found.startswith(each)), key=len)
        return found[len(prefix) :]


def read_manifest(settings: Settings, *, compiled: str | None = None) -> Mapping[str, Any]:
    """dbt's manifest of the project: the newest in this home, else created by ``dbt parse`` (some seconds).

    ``compiled``: a model whose compiled SQL is required; a build of other models lacks it. A home built only with ``dbt
    build`` has no manifest: dbt writes it to the project. Raises DbtProjectError if the project cannot be parsed.
    """
    kept = kept_manifest(settings)
    if kept is not None and (compiled is None or _is_compiled(kept, compiled)):
        return kept
    return _made_manifest(settings, compiled)


def kept_manifest(settings: Settings) -> Mapping[str, Any] | None:
    """dbt's manifest of the last build or parse in this home, or None."""
    paths = [directory / "manifest.json" for directory in (settings.dbt_target, settings.dbt_parsed)]
    written = [path for path in paths if path.exists()]
    if not written:
        return None
    found: Mapping[str, Any] = json.loads(max(written, key=lambda path: path.stat().st_mtime).read_text())
    return found


def _is_compiled(manifest: Mapping[str, Any], model: str) -> bool:
    return any(node["name"] == model and node.get("compiled_code") for node in manifest["nodes"].values())


def _made_manifest(settings: Settings, compiled: str | None) -> Mapping[str, Any]:
    # no introspection of the lake: a model's SQL depends on the project only
    # with those that lenders have beside it
    doing = (
        ["compile", "--no-introspect", "--indirect-selection", "empty", "--select", f"{compiled}*"]
        if compiled
        else ["parse"]
    )
    with tempfile.TemporaryDirectory() as target:
        command = [str(Path(sys.executable).with_name("dbt")), "--quiet", *doing, "--no-use-colors"]
        command += ["--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR), "--target", "prod"]
        command += ["--target-path", target, "--log-path", target]
        environment = {**os.environ, "LOANLAKE_HOME": str(settings.home), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        # a fixed list of arguments for this environment's dbt, without a shell
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=False, env=environment, cwd=DBT_PROJECT_DIR
        )
        if done.returncode != 0:
            raise DbtProjectError(
                f"dbt cannot parse the project in {DBT_PROJECT_DIR}:\n{done.stdout.strip()}{done.stderr.strip()}"
            )
        found: Mapping[str, Any] = json.loads((Path(target) / "manifest.json").read_text())
        return found


def raw_tables(manifest: Mapping[str, Any], lender: str) -> list[RawTable]:
    """The raw tables of a lender's staging models; raises ContractError if one does not declare its ids."""
    feeds: dict[str, set[str]] = {}
    for node in manifest["nodes"].values():
        found = _STAGING.fullmatch(node["name"]) if node["resource_type"] == "model" else None
        if found and found["lender"] == lender:
            for source in _sources(manifest, node["unique_id"]):
                feeds.setdefault(source, set()).add(found["entity"])
    tables = []
    for source in sorted(feeds):
        declared = manifest["sources"][source]
        if _is_written_by_programs(declared):
            continue  # outcomes reported over HTTP: found by the columns of ids that every such table has
        name = f"{declared['schema']}.{declared['identifier']}"
        meta = declared.get("config", {}).get("meta") or declared.get("meta") or {}
        identifies = meta.get("identifies")
        if identifies is None:
            raise ContractError(
                f"{name} must declare which of its columns hold the ids of applications and borrowers, as "
                "`config: {meta: {identifies: {column: {application: prefix}}}}`: found none; add it, or `{}` "
                f"where no column holds one, to its YAML in {declared['original_file_path']}, then build or `dbt "
                "parse` again"
            )
        personal = tuple(meta.get("personal", ()))
        tables.append(RawTable(name, lender, identifies, frozenset(feeds[source]), personal))
    return tables


def _is_written_by_programs(declared: Mapping[str, Any]) -> bool:
    return str(declared["original_file_path"]).endswith("program_tables.yml")


def id_in(text: str) -> str:
    """SQL for the id in a text, given as SQL: :func:`warehouse.values.formats.read_id` without its refusals."""
    text = f"trim({text}, {literal(BLANKS)})"
    is_whole = f"regexp_full_match({text}, {literal(WHOLE_FLOAT)})"
    return f"case when {is_whole} then split_part({text}, '.', 1) else nfc_normalize({text}) end"


def _conditions(column: str, values: Collection[str]) -> Iterator[str]:
    if not values:
        return
    yield f"{id_in(identifier(column))} in ({', '.join(map(literal, sorted(values)))})"
    numbers = [value for value in sorted(values) if value.isdecimal()]
    if numbers:
        # ids that staging reads as numbers: '007.0' equals 7
        yield f'try_cast("{column}" as decimal(38, 4)) in ({", ".join(numbers)})'


def _sources(manifest: Mapping[str, Any], unique_id: str) -> Iterator[str]:
    for parent in manifest["nodes"][unique_id]["depends_on"]["nodes"]:
        if parent.startswith("source."):
            yield parent
        elif parent in manifest["nodes"]:
            yield from _sources(manifest, parent)
