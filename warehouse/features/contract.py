"""The feature contract, read from dbt's column metadata.

``ftr_application_inputs`` declares the inputs and their origins; a version of ``ftr_application`` declares the
features. A lender's own columns are declared beside them, for a version that it extends. A version's contract has only
the inputs that its SQL reads: an input added later does not change it. All other lists of features (Pandera schema,
model columns, request schema, reason texts and others) are derived from it.
"""

import difflib
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import msgspec

from warehouse.errors import ContractError, ExpressionError
from warehouse.features.columns import FeatureColumn, InputColumn, Origin, read_feature, read_input
from warehouse.features.expressions import CompiledSelect, SqlType, column_type, compile_select, inputs_of_columns
from warehouse.features.manifest import VersionModels, load, models_of_version, newest_version
from warehouse.lake.feature_tables import FEATURES_MODEL, INPUTS_MODEL, FeatureVersion
from warehouse.lenders.lender import Lender

_ALWAYS_KNOWN = ("key", "context")
_OWN = ("request", "history")


@dataclass(frozen=True)
class FeatureContract:
    """A version of the feature table: its inputs, its features in table order, and the SQL that computes them."""

    version: str
    inputs: tuple[InputColumn, ...]
    features: tuple[FeatureColumn, ...]
    sql: str

    @classmethod
    def from_manifest(
        cls, manifest: Path | Mapping[str, Any], *, version: int | str | None = None
    ) -> "FeatureContract":
        """Read a version, 2, ``v2`` or ``v2_mybank`` (default: the latest of all lenders), from dbt's manifest.

        Raises ContractError if metadata is missing, the model is not compiled, its SQL is not a row-level select, or a
        lender's own column has the name of a shared one.
        """
        models = models_of_version(load(manifest), None if version is None else FeatureVersion.parse(version))
        if not models.sql:
            raise ContractError(f"{models.node['unique_id']} is not compiled: run `dbt compile` (or `dbt build`) first")

        inputs = _inputs(models)
        try:
            found = inputs_of_columns(models.sql, [column.name for column in inputs])
        except ExpressionError as error:
            raise ContractError(f"{models.version.features_model}: {error}") from None
        made_of = {name.lower(): names for name, names in found.items()}
        labels = {
            column.name: column.label or column.name.replace("_", " ")
            for column in inputs
            if not column.required and column.origin not in _ALWAYS_KNOWN
        }
        contract = cls(
            version=str(models.version),
            inputs=_inputs_kept(inputs, {name for names in found.values() for name in names}),
            features=tuple(
                read_feature(
                    column, model, [labels[name] for name in made_of.get(column["name"].lower(), ()) if name in labels]
                )
                for model, column in models.features
            ),
            sql=models.sql,
        )
        if not contract.features:
            raise ContractError(f"{FEATURES_MODEL} {contract.version} declares no column with role: feature")
        return contract

    def of_lender(self, lender: Lender) -> Self:
        """The contract with the lender's own reason texts and limits, without what it cannot require.

        Raises ContractError for unknown names, and for the version of another lender.
        """
        if self.tables.lender not in ("", lender.name):
            raise ContractError(
                f"features {self.version} are those that {self.tables.lender} extends with columns of its own: "
                f"{lender.name} has not got them; name {self.tables.core}, or a version that {lender.name} extends"
            )
        unknown = tuple(_unknown_names(lender, self.inputs, self.feature_names, self.version))
        if unknown:
            raise ContractError("\n".join(unknown))
        return replace(
            self,
            inputs=tuple(
                replace(
                    column,
                    range=lender.limits.get(column.name, column.range),
                    required=column.required and column.name not in lender.request.optional,
                )
                for column in self.inputs
            ),
            features=tuple(
                replace(
                    feature,
                    range=lender.limits.get(feature.name, feature.range),
                    reason=lender.reasons.get(feature.name, feature.reason),
                )
                for feature in self.features
            ),
        )

    def admitting(self, lenders: Iterable[Lender]) -> Self:
        """The contract with ranges that hold the limits of all the lenders, for tables that have their rows."""
        widest = {feature.name: feature.range for feature in self.features if feature.range}
        for lender in lenders:
            for name, (low, high) in lender.limits.items():
                if (known := widest.get(name)) is not None:
                    widest[name] = min(low, known[0]), max(high, known[1])
        return replace(
            self,
            features=tuple(replace(feature, range=widest.get(feature.name)) for feature in self.features),
        )

    def gone_from(self, manifest: Path | Mapping[str, Any]) -> tuple[str, ...]:
        """Inputs and features of this contract that the dbt project no longer has in its version."""
        models = models_of_version(load(manifest), self.tables)
        existing = {column["name"] for _, column in (*models.inputs, *models.features)}
        return tuple(name for name in dict.fromkeys((*self.input_names, *self.feature_names)) if name not in existing)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "FeatureContract":
        """The inverse of :meth:`to_dict`."""
        return msgspec.convert(data, cls)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for ``contract.json`` in a model bundle."""
        return asdict(self)

    @cached_property
    def tables(self) -> FeatureVersion:
        """The version, which names its tables."""
        return FeatureVersion.parse(self.version)

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """Names in table order, the order of every feature vector."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def plausible_ranges(self) -> tuple[tuple[int, str, float, float], ...]:
        """(position in the feature vector, name, lowest, highest plausible value) of each feature with a range."""
        return tuple(
            (place, feature.name, *feature.range)
            for place, feature in enumerate(self.features)
            if feature.kind == "numeric" and feature.range
        )

    @cached_property
    def feature_types(self) -> dict[str, str]:
        """Feature → SQL type, in table order."""
        return {feature.name: feature.data_type for feature in self.features}

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """Names of inputs, in table order."""
        return tuple(column.name for column in self.inputs)

    def inputs_of(self, *origins: Origin) -> tuple[InputColumn, ...]:
        """Inputs of these origins, in table order."""
        return tuple(column for column in self.inputs if column.origin in origins)

    def features_made_of(self, *origins: Origin) -> frozenset[str]:
        """Names of features that use inputs of these origins, directly or through another feature."""
        made_of = inputs_of_columns(self.sql, [column.name for column in self.inputs_of(*origins)])
        return frozenset(name for name in self.feature_names if made_of.get(name))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the whole contract: columns, metadata and SQL."""
        text = json.dumps(self.to_dict(), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def compile_contract(contract: FeatureContract) -> CompiledSelect:
    """The features, in table order, as a function of one row of inputs; raises ExpressionError and ContractError."""
    types = {column.name: column.data_type for column in contract.inputs}
    compiled = compile_select(contract.sql, types=types, columns=contract.feature_names)
    for feature, found in zip(contract.features, compiled.types, strict=True):
        if column_type(feature.data_type) is not SqlType(found):
            raise ContractError(
                f"feature {feature.name} is declared {feature.data_type}, but its SQL computes {found.lower()}; "
                f"write cast(… as {feature.data_type})"
            )
    return compiled


def _inputs(models: VersionModels) -> list[InputColumn]:
    inputs = []
    for model, column in models.inputs:
        found = read_input(column, model)
        if model != INPUTS_MODEL and found.origin not in _OWN:
            raise ContractError(
                f"{model}.{found.name}: the origin of a lender's own column must be {' or '.join(_OWN)}: found "
                f"{found.origin}"
            )
        inputs.append(found)
    _check_segments(inputs)
    return inputs


def _inputs_kept(declared: Sequence[InputColumn], read: Collection[str]) -> tuple[InputColumn, ...]:
    """Keys, context, the columns that the select reads, and the segments of its cohort inputs."""
    kept = [column for column in declared if column.origin in _ALWAYS_KNOWN or column.name in read]
    segments = {column.segment for column in kept if column.origin == "cohort"}
    return tuple(column for column in declared if column in kept or column.name in segments)


def unknown_names(lender: Lender, manifest: Path | Mapping[str, Any]) -> tuple[str, ...]:
    """Names in the lender's file that its newest features and requests do not have; dbt need not compile them."""
    loaded = load(manifest)
    models = models_of_version(loaded, newest_version(loaded, lender.name))
    features, version = [str(column["name"]) for _, column in models.features], str(models.version)
    return (
        *_unknown_names(lender, _inputs(models), features, version),
        # of a closed version's model, a feature that only the newest has is not a mistake
        *_unknown(lender, "honest_features", lender.honest_features, features, f"features {version}"),
    )


def _unknown_names(
    lender: Lender, inputs: Iterable[InputColumn], features: Sequence[str], version: str
) -> Iterator[str]:
    given = [column for column in inputs if column.origin == "request"]
    required = [column.name for column in given if column.required]
    numbers = [column.name for column in given if column.range]
    yield from _unknown(lender, "reasons", lender.reasons, features, f"features {version}")
    yield from _unknown(lender, "request.optional", lender.request.optional, required, "required fields of a request")
    yield from _unknown(lender, "limits", lender.limits, numbers, "numbers of a request")


def _unknown(lender: Lender, key: str, found: Iterable[str], known: Sequence[str], what: str) -> Iterator[str]:
    for name in found:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f", did you mean {near[0]}?" if near else ";"
            yield f"{lender.path}: {key} must name {what}: found {name}{meant} known are {', '.join(known)}"


def _check_segments(inputs: Sequence[InputColumn]) -> None:
    """A cohort is looked up by a value of the request: one whose segment is not a request column cannot be served."""
    given = {column.name for column in inputs if column.origin == "request"}
    for column in inputs:
        if column.origin == "cohort" and column.segment not in given | {"all"}:
            raise ContractError(
                f"{INPUTS_MODEL}.{column.name}: segment {column.segment!r} is no request input; "
                f"it must be all, or one of {', '.join(sorted(given))}"
            )
