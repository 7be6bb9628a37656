"""Refuse a version of the features that could not be trained on or served, before anything is built.

dbt finds cycles and unknown macros when it parses, and wrong column types when it builds. ``make lint`` finds the rest
in the manifest of ``dbt compile``: SQL that no request could run, and columns that only the SQL or only the contract
has; and keys of a lender's file that nothing reads. Run as ``python -m warehouse.features.lint MANIFEST``.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from warehouse.errors import ContractError, ExpressionError
from warehouse.features.checks import KEYS
from warehouse.features.contract import FeatureContract, compile_contract
from warehouse.features.expressions import check_select
from warehouse.features.expressions.select_text import read_select
from warehouse.features.manifest import VersionModels, models_of, models_of_version, versions_of
from warehouse.features.new_version import macro_file, since
from warehouse.lake.feature_tables import FEATURES_MODEL, TRAINING_MODEL, FeatureVersion
from warehouse.lenders.rules import check_lenders


def check_versions(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Problems of each version, as "file: what; what to do"; empty if all can be trained on and served."""
    messages: list[str] = []
    for version in versions_of(manifest):
        try:
            messages += _check(models_of_version(manifest, version), manifest)
        except ContractError as error:
            messages.append(str(error))
    shared = (model for model in models_of(manifest) if model["name"] == FEATURES_MODEL)
    try:
        messages += _check_since(sorted(shared, key=lambda model: int(model["version"])))
    except ContractError as error:
        messages.append(str(error))
    return tuple(messages)


def _check(models: VersionModels, manifest: Mapping[str, Any]) -> Iterator[str]:
    model, version, file = models.node, models.version, models.node["original_file_path"]
    contract_file = str(model["patch_path"] or "").partition("://")[2]
    try:
        selected = [column.name.lower() for column in read_select(models.sql).columns]
    except ExpressionError as error:
        yield f"{file}: {error}"
        return
    declared = [name.lower() for name in (*KEYS, *(column["name"] for _, column in models.features))]
    for column in selected:
        if column not in declared:
            newest = f" and `since: {version.number}`" if version.number == model.get("latest_version") else ""
            yield (
                f"{file}: column {column} has no line in {contract_file} (version {version}); add one with its "
                f"data_type, description, range, reason{newest}, or take it out of the SQL"
            )
    for column in declared:
        if column not in selected:
            yield (
                f"{contract_file}: column {column} is not selected in {file}; select it there (macros/features/), or "
                + (
                    "take its line out"
                    if version.lender
                    else f"say by its `since` that it exists from a version after {version.number} on"
                )
            )
    refused = check_select(models.sql, types={column["name"]: str(column["data_type"]) for _, column in models.inputs})
    yield from (f"{file}: {message}" for message in refused)
    if not refused and set(selected) == set(declared):
        try:
            compile_contract(FeatureContract.from_manifest(manifest, version=str(version)))
        except (ContractError, ExpressionError) as error:
            yield f"{contract_file}: {error}"
    yield from _check_training(version, file, manifest)


def _check_training(version: FeatureVersion, file: str, manifest: Mapping[str, Any]) -> Iterator[str]:
    trained = [(model["name"], str(model.get("version") or "")) for model in models_of(manifest)]
    table = version.training_table.partition(".")[2]
    if version.lender and (table, "") not in trained:
        yield (
            f"{file}: there is no model {table}, so no model could be trained on it; add {table}.sql with "
            f"`{{{{ training_rows('{version.number}_{version.lender}') }}}}`, and its YAML"
        )
    elif not version.lender and (TRAINING_MODEL, str(version.number)) not in trained:
        yield (
            f"{file}: {TRAINING_MODEL} has no version {version.number}, so no model could be trained on it; add "
            f"{table}.sql with `{{{{ training_rows({version.number}) }}}}`, and its line in {TRAINING_MODEL}.yml"
        )


def _check_since(versions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Check that each version has exactly the columns whose ``since`` includes it."""
    *closed, newest = versions
    columns = {name: since(column) for name, column in newest["columns"].items()}
    version, file = int(newest["version"]), str(newest["patch_path"] or "").partition("://")[2]
    if closed and version not in columns.values():
        yield (
            f"version {version} adds no feature yet: write a line in {macro_file(version)}, and an entry with "
            f"`since: {version}` at the end of the columns in {file}"
        )
    for model in closed:
        for name, first in columns.items():
            is_listed = name in model["columns"]
            if not is_listed and first <= int(model["version"]):
                yield (
                    f"{file}: column {name} is not in version {model['version']}, and says it exists since version "
                    f"{first}; give it `since: {version}` if it is new"
                )
            elif is_listed and first > int(model["version"]):
                yield (
                    f"{file}: column {name} says it exists since version {first}, but version {model['version']} has "
                    "it; correct its `since`, or that version's list of columns"
                )


def main() -> None:
    """Check the lenders' files, and the manifest named on the command line; exit code 1 if there are problems."""
    manifest = json.loads(Path(sys.argv[1]).read_text())
    messages = check_lenders() + check_versions(manifest)
    for message in messages:
        click.echo(message, err=True)
    sys.exit(1 if messages else 0)


if __name__ == "__main__":
    main()
