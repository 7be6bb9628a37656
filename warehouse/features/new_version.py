"""``loanlake feature new``: create the next version; list the closed one's columns, by ``since``, for dbt.

A lender that extends the newest version with columns of its own extends the next one too.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from warehouse.errors import ContractError
from warehouse.lake.feature_tables import FEATURES_MODEL, TRAINING_MODEL, FeatureVersion

_FEATURES = Path("models/features")
_TRAINING = Path("models/training")
FEATURES_YAML = _FEATURES / f"{FEATURES_MODEL}.yml"
_TRAINING_YAML = _TRAINING / f"{TRAINING_MODEL}.yml"
_MACRO = """\
{{#-
    What version {version} of {model} adds to version {before}, a column a line, with commas between them. Any column of
    ftr_application_inputs and any feature above may be used; for instance
    {{{{ within('annual_income / 12', 0, 1000000000) }}}} as monthly_income
-#}}
{{% macro features_since_{version}() -%}}
{{%- endmacro %}}
"""
_SELECT = """\
-- One row per application: the features of version {version}, each a scalar expression over that application's inputs.
-- Nothing else may stand here (no join, no aggregate, no subquery): the request path runs this same text, compiled.
select
    application_id,
    borrower_id,
    source,
    decided_at,

    {{{{ features_of([{blocks}]) }}}}
from {{{{ ref('ftr_application_inputs') }}}}
"""
_ROWS = """\
-- One row per mature application: the features of version {version}, the label, and which part of training it serves.
{{{{ training_rows({version}) }}}}
"""
_TRAINED = """\
      - v: {version}
        data_tests: [carries_the_contract: {{arguments: {{leading: 7, version: {version}}}}}]
"""


def macro_file(version: int) -> Path:
    """The SQL file of the features added in a version, within the dbt project."""
    return Path(f"macros/features/features_since_{version}.sql")


def since(column: Mapping[str, Any]) -> int:
    """The first version with a column, by its meta; default 1."""
    meta = (column.get("config") or {}).get("meta") or {}
    value = meta.get("since", 1)
    if not isinstance(value, int) or value < 1:
        raise ContractError(f"{FEATURES_MODEL}.{column['name']}: since must be a version, 1 or later: found {value!r}")
    return value


def create_version(project: Path) -> int:
    """Close the newest version of the dbt project in ``project``; create and return the next, which adds nothing yet.

    Raises ContractError if the newest version adds nothing, or a file of the next one exists.
    """
    features, training = ((project / path).read_text() for path in (FEATURES_YAML, _TRAINING_YAML))
    model = yaml.safe_load(features)["models"][0]
    newest = int(model["latest_version"])
    version = newest + 1
    if newest > 1 and not any(since(column) == newest for column in model["columns"]):
        raise ContractError(
            f"version {newest} of {FEATURES_MODEL} has no feature of its own yet: write one in "
            f"{project / macro_file(newest)} and {project / FEATURES_YAML} before you create another version"
        )
    columns = [column["name"] for column in model["columns"] if since(column) <= newest]
    entry = f"{_included(columns)}      - v: {version}\n"
    blocks = ", ".join(f"features_since_{each}()" for each in range(1, version + 1))
    new = {
        macro_file(version): _MACRO.format(version=version, before=newest, model=FEATURES_MODEL),
        _FEATURES / f"{FEATURES_MODEL}_v{version}.sql": _SELECT.format(version=version, blocks=blocks),
        _TRAINING / f"{TRAINING_MODEL}_v{version}.sql": _ROWS.format(version=version),
    }
    edited = {
        FEATURES_YAML: _with_version(features, FEATURES_YAML, version, entry),
        _TRAINING_YAML: _with_version(training, _TRAINING_YAML, version, _TRAINED.format(version=version)),
    }
    for extended, path in _extended(project, newest):
        described = _yaml_of(project, path)
        following = path.with_name(path.name.replace(f"_v{newest}_", f"_v{version}_", 1))
        new[following] = _next((project / path).read_text(), extended)
        edited[described] = _with_model((project / described).read_text(), path.stem, extended)
    for path in new:
        if (project / path).exists():
            raise ContractError(f"{project / path} exists, though {FEATURES_YAML} has no version {version}: delete it")
    for path, text in {**new, **edited}.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)
    return version


def _extended(project: Path, version: int) -> Iterator[tuple[FeatureVersion, Path]]:
    """The SQL files of lenders that extend a version: its features, and the training rows."""
    for folder, prefix in ((_FEATURES, FEATURES_MODEL), (_TRAINING, TRAINING_MODEL)):
        for path in sorted((project / folder).glob(f"*/{prefix}_v{version}_*.sql")):
            yield FeatureVersion.parse(path.stem.removeprefix(f"{prefix}_")), path.relative_to(project)


def _next(text: str, version: FeatureVersion) -> str:
    """The text of a lender's model of a version, as that of the next one."""
    number, lender = version.number, version.lender
    text = text.replace(f"features_since_{number}()", f"features_since_{number}(), features_since_{number + 1}()")
    text = re.sub(rf"\bversion {number}\b", f"version {number + 1}", text)
    return re.sub(rf"(?<![a-z0-9])(v?){number}_{lender}\b", rf"\g<1>{number + 1}_{lender}", text)


def _yaml_of(project: Path, model: Path) -> Path:
    for path in sorted((project / model.parent).glob("*.yml")):
        if re.search(rf"^  - name: {model.stem}$", path.read_text(), re.MULTILINE):
            return path.relative_to(project)
    raise ContractError(
        f"{project / model} must be described in a YAML file beside it, as `  - name: {model.stem}`: found none"
    )


def _with_model(text: str, model: str, version: FeatureVersion) -> str:
    """YAML with the next version's entry after that of ``model``; columns with an anchor are not copied."""
    entry = re.search(rf"^  - name: {model}\n(?:^ {{3,}}.*\n|^\n)*", text, re.MULTILINE)
    if entry is None:
        raise ContractError(f"the entry of {model} must end with a line break: restore its YAML")
    again = re.sub(r"^    columns: &(\w+)\n(?:^ {5,}.*\n|^\n)+", r"    columns: *\1\n", entry[0], flags=re.MULTILINE)
    return text[: entry.end()] + _next(again, version) + text[entry.end() :]


def _included(columns: list[str]) -> str:
    names = textwrap.fill(", ".join(columns), width=100, initial_indent=" " * 16, subsequent_indent=" " * 16)
    return f"        columns:\n          - include:\n              [\n{names},\n              ]\n"


def _with_version(text: str, path: Path, version: int, entry: str) -> str:
    latest = re.compile(rf"^    latest_version: {version - 1}$", re.MULTILINE)
    # the list of versions ends at the model's next key
    versions = re.compile(r"^    versions:\n(?:^ {5,}.*\n|^\n)+", re.MULTILINE)
    if len(latest.findall(text)) != 1 or len(versions.findall(text)) != 1:
        raise ContractError(
            f"{path} must have one line `    latest_version: {version - 1}` and one `    versions:`: found "
            f"{len(latest.findall(text))} and {len(versions.findall(text))}; restore the file"
        )
    text = latest.sub(f"    latest_version: {version}", text)
    return versions.sub(lambda found: found[0] + entry, text)
