"""Where dbt's manifest has the parts of a version of the features: its inputs, its features and its SQL."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warehouse.errors import ContractError
from warehouse.features.columns import meta_of
from warehouse.lake.feature_tables import FEATURES_MODEL, INPUTS_MODEL, FeatureVersion

Node = Mapping[str, Any]
Column = Mapping[str, Any]


@dataclass(frozen=True)
class VersionModels:
    """A version's entries in YAML, each with the model that has it, and the node with its SQL.

    Of an extended version, the shared inputs and features come first, then the lender's own.
    """

    version: FeatureVersion
    node: Node
    inputs: tuple[tuple[str, Column], ...]
    features: tuple[tuple[str, Column], ...]

    @property
    def sql(self) -> str:
        """The select that dbt compiled; empty if the model is not compiled."""
        return str(self.node.get("compiled_code") or "")


def load(manifest: Path | Mapping[str, Any]) -> Mapping[str, Any]:
    """dbt's manifest, from its file or as it is; raises ContractError if the file is missing."""
    if not isinstance(manifest, Path):
        return manifest
    try:
        loaded: Mapping[str, Any] = json.loads(manifest.read_text())
    except FileNotFoundError:
        raise ContractError(
            f"the feature contract is read from {manifest}, which is missing: run `dbt build`"
        ) from None
    return loaded


def models_of(manifest: Mapping[str, Any]) -> Iterator[Node]:
    """The dbt project's models."""
    return (node for node in manifest["nodes"].values() if node["resource_type"] == "model")


def versions_of(manifest: Path | Mapping[str, Any], *, lender: str | None = None) -> tuple[FeatureVersion, ...]:
    """The versions of the features, oldest first; ``lender``: only those that it can be trained on, its own last.

    An extended version comes after all versions that every lender has: of a lender's versions, the last is the newest.
    """
    shared, extended = [], []
    for node in models_of(load(manifest)):
        if node["name"] == FEATURES_MODEL:
            shared.append(FeatureVersion(int(node["version"])))
        elif (version := FeatureVersion.of_model(node["name"])) is not None and lender in (None, version.lender):
            extended.append(version)
    return (*sorted(shared), *sorted(extended))


def newest_version(manifest: Path | Mapping[str, Any], lender: str = "") -> FeatureVersion:
    """The version that a lender trains on unless another is named: its newest extended one, else the latest of all."""
    loaded = load(manifest)
    extended = [version for version in versions_of(loaded, lender=lender) if version.lender]
    return extended[-1] if extended else FeatureVersion(int(_core_model(loaded, None)["version"]))


def models_of_version(manifest: Mapping[str, Any], version: FeatureVersion | None) -> VersionModels:
    """The models of a version (None: the latest of all lenders).

    Raises ContractError if a model is missing, or an own column has the name of one that every lender has.
    """
    core = _core_model(manifest, None if version is None else version.core)
    version = version or FeatureVersion(int(core["version"]))
    inputs = _columns(_only(manifest, INPUTS_MODEL))
    features = [each for each in _columns(core) if meta_of(each[1]).get("role") == "feature"]
    if not version.lender:
        return VersionModels(version, core, tuple(inputs), tuple(features))
    if version not in (existing := versions_of(manifest, lender=version.lender)):
        raise ContractError(
            f"{version.lender} must extend version {version.core} of the features: the dbt project has no model "
            f"{version.features_model}; {version.lender} can be trained on {', '.join(map(str, existing))}"
        )
    node = _only(manifest, version.features_model)
    own_inputs = _columns(_only(manifest, version.of_lender(INPUTS_MODEL)))
    own_features = [each for each in _columns(node) if meta_of(each[1]).get("role") == "feature"]
    _require_own_names([*inputs, *features], [*own_inputs, *own_features])
    return VersionModels(version, node, (*inputs, *own_inputs), (*features, *own_features))


def _require_own_names(shared: list[tuple[str, Column]], own: list[tuple[str, Column]]) -> None:
    taken = {column["name"].lower(): f"{model}.{column['name']}" for model, column in shared}
    for model, column in own:
        if (other := taken.get(column["name"].lower())) is not None:
            raise ContractError(
                f"{model}.{column['name']} must have a name that no shared input or feature has: found {other}; "
                "rename the lender's own column"
            )


def _columns(node: Node) -> list[tuple[str, Column]]:
    return [(str(node["name"]), column) for column in node["columns"].values()]


def _only(manifest: Mapping[str, Any], name: str) -> Node:
    found = [node for node in models_of(manifest) if node["name"] == name]
    if len(found) != 1:
        raise ContractError(f"the dbt project must have exactly one model {name}: found {len(found)}")
    return found[0]


def _core_model(manifest: Mapping[str, Any], version: FeatureVersion | None) -> Node:
    models = [node for node in models_of(manifest) if node["name"] == FEATURES_MODEL]
    if version is None:
        found = [node for node in models if len(models) == 1 or node.get("version") == node.get("latest_version")]
    else:
        found = [node for node in models if str(node.get("version")) == str(version.number)]
        if models and not found:
            existing = ", ".join(sorted(f"v{node.get('version')}" for node in models))
            raise ContractError(
                f"{FEATURES_MODEL} has no version {version}: the dbt project has {existing}; name one of them, or "
                f"bring {FEATURES_MODEL}_{version}.sql and its line under `versions:` in {FEATURES_MODEL}.yml back"
            )
    if len(found) != 1:
        raise ContractError(f"the dbt project must have exactly one model {FEATURES_MODEL}: found {len(found)}")
    return found[0]
