"""The feature contract, read from dbt's column metadata.

``ftr_application_inputs`` declares the inputs and their origins; a version of ``ftr_application`` declares the
features. A version's contract has only the inputs that its SQL reads: an input added later does not change it. All
other lists of features (Pandera schema, model columns, request schema, reason texts and others) are derived from it.
"""

import difflib
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, get_args

import msgspec

from warehouse.errors import ContractError, ExpressionError
from warehouse.features.expressions import CompiledSelect, SqlType, column_type, compile_select, inputs_of_columns
from warehouse.lenders.lender import Lender

Origin = Literal["key", "context", "request", "history", "cohort"]
Kind = Literal["numeric", "boolean", "categorical"]
Monotone = Literal["increasing", "decreasing", "none"]

INPUTS_MODEL = "ftr_application_inputs"
FEATURES_MODEL = "ftr_application"
TRAINING_MODEL = "trn_default"
_ALWAYS_KNOWN = ("key", "context")
_NUMERIC_TYPES = {"double", "float", "integer", "bigint", "smallint"}
_KINDS: dict[str, Kind] = {**dict.fromkeys(_NUMERIC_TYPES, "numeric"), "boolean": "boolean", "varchar": "categorical"}


@dataclass(frozen=True)
class InputColumn:
    """One column of ``ftr_application_inputs``.

    ``origin``: ``key`` (identifies the row), ``context`` (set by the platform, such as ``decided_at``), ``request``
    (given by the caller), ``history`` (looked up by borrower) or ``cohort`` (looked up by ``segment``: a request column
    whose value names the cohort, or ``all`` for the whole source). ``range`` is inclusive, in the column's unit.
    ``label``: the applicant's word for it, after "Information is missing:".
    """

    name: str
    data_type: str
    description: str
    origin: Origin
    required: bool = False
    range: tuple[float, float] | None = None
    values: tuple[str, ...] | None = None
    segment: str | None = None
    example: Any = None
    label: str = ""


@dataclass(frozen=True)
class FeatureColumn:
    """One model feature of ``ftr_application``.

    ``monotone``: the direction of the risk of default as the value grows. ``reason``: shown to a declined applicant
    when this feature weighed most; ``missing``: shown instead if it has no value, with the labels of its inputs.
    """

    name: str
    data_type: str
    description: str
    kind: Kind
    range: tuple[float, float] | None = None
    values: tuple[str, ...] | None = None
    monotone: Monotone = "none"
    reason: str = ""
    missing: str = ""


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
        """Read a version, 2 or ``v2`` (default: the latest), from dbt's manifest, with the SQL that dbt compiled.

        Raises ContractError if metadata is missing, the model is not compiled, or its SQL is not a row-level select.
        """
        nodes = (_read(manifest) if isinstance(manifest, Path) else manifest)["nodes"].values()
        inputs_node = _node(nodes, INPUTS_MODEL, None)
        features_node = _node(nodes, FEATURES_MODEL, version)
        sql = features_node.get("compiled_code")
        if not sql:
            raise ContractError(
                f"{features_node['unique_id']} is not compiled: run `dbt compile` (or `dbt build`) first"
            )

        inputs = [_input(column, INPUTS_MODEL) for column in inputs_node["columns"].values()]
        _check_segments(inputs)
        try:
            found = inputs_of_columns(sql, [column.name for column in inputs])
        except ExpressionError as error:
            raise ContractError(f"{FEATURES_MODEL}: {error}") from None
        made_of = {name.lower(): names for name, names in found.items()}
        labels = {
            column.name: column.label or column.name.replace("_", " ")
            for column in inputs
            if not column.required and column.origin not in _ALWAYS_KNOWN
        }
        contract = cls(
            version=f"v{features_node['version']}",
            inputs=_inputs_kept(inputs, {name for names in found.values() for name in names}),
            features=tuple(
                _feature(
                    column,
                    features_node["name"],
                    [labels[name] for name in made_of.get(column["name"].lower(), ()) if name in labels],
                )
                for column in features_node["columns"].values()
                if _meta(column).get("role") == "feature"
            ),
            sql=sql,
        )
        if not contract.features:
            raise ContractError(f"{FEATURES_MODEL} {contract.version} declares no column with role: feature")
        return contract

    def of_lender(self, lender: Lender) -> Self:
        """The contract with the lender's own reason texts and limits, without what it cannot require.

        Raises ContractError for unknown names.
        """
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

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "FeatureContract":
        """The inverse of :meth:`to_dict`."""
        return msgspec.convert(data, cls)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for ``contract.json`` in a model bundle."""
        return asdict(self)

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


def contract_versions(manifest: Path | Mapping[str, Any]) -> tuple[str, ...]:
    """Versions of the features in dbt's manifest, oldest first, such as ``("v1", "v2")``."""
    nodes = (_read(manifest) if isinstance(manifest, Path) else manifest)["nodes"].values()
    found = [node["version"] for node in nodes if (node["resource_type"], node["name"]) == ("model", FEATURES_MODEL)]
    return tuple(f"v{version}" for version in sorted(found, key=int))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        manifest: Mapping[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise ContractError(f"the feature contract is read from {path}, which is missing: run `dbt build`") from None
    return manifest


def _inputs_kept(declared: Sequence[InputColumn], read: Collection[str]) -> tuple[InputColumn, ...]:
    """Keys, context, the columns that the select reads, and the segments of its cohort inputs."""
    kept = [column for column in declared if column.origin in _ALWAYS_KNOWN or column.name in read]
    segments = {column.segment for column in kept if column.origin == "cohort"}
    return tuple(column for column in declared if column in kept or column.name in segments)


def unknown_names(lender: Lender, manifest: Path | Mapping[str, Any]) -> tuple[str, ...]:
    """Names in the lender's file that the newest features and requests do not have; dbt need not compile them."""
    nodes = (_read(manifest) if isinstance(manifest, Path) else manifest)["nodes"].values()
    inputs = [_input(column, INPUTS_MODEL) for column in _node(nodes, INPUTS_MODEL, None)["columns"].values()]
    model = _node(nodes, FEATURES_MODEL, None)
    features = [column["name"] for column in model["columns"].values() if _meta(column).get("role") == "feature"]
    version = f"v{model['version']}"
    return (
        *_unknown_names(lender, inputs, features, version),
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


def _node(nodes: Any, name: str, version: int | str | None) -> Mapping[str, Any]:
    models: list[Mapping[str, Any]] = [
        node for node in nodes if node["resource_type"] == "model" and node["name"] == name
    ]
    if version is not None:
        wanted = str(version).removeprefix("v")
        found = [node for node in models if str(node.get("version")) == wanted]
        if models and not found:
            existing = ", ".join(sorted(f"v{node.get('version')}" for node in models))
            raise ContractError(
                f"{name} has no version v{wanted}: the dbt project has {existing}; name one of them, or bring "
                f"{name}_v{wanted}.sql and its line under `versions:` in {name}.yml back"
            )
    else:
        found = [node for node in models if len(models) == 1 or node.get("version") == node.get("latest_version")]
    if len(found) != 1:
        raise ContractError(f"the dbt project must have exactly one model {name}: found {len(found)}")
    return found[0]


def _meta(column: Mapping[str, Any]) -> Mapping[str, Any]:
    return (column.get("config") or {}).get("meta") or column.get("meta") or {}


def _input(column: Mapping[str, Any], model: str) -> InputColumn:
    meta, where = _meta(column), f"{model}.{column['name']}"
    origin = _one_of(meta.get("origin"), get_args(Origin), "origin", where)
    if origin == "cohort" and not meta.get("segment"):
        raise ContractError(f"{where}: a cohort input must name its segment (a request column, or all)")
    return InputColumn(
        name=column["name"],
        data_type=_required(column, "data_type", where).lower(),
        description=_required(column, "description", where),
        origin=origin,
        required=bool(meta.get("required", False)),
        range=_range(meta, where),
        values=tuple(meta["values"]) if meta.get("values") else None,
        segment=meta.get("segment"),
        example=meta.get("example"),
        label=str(meta.get("label", "")),
    )


def missing_text(labels: Sequence[str]) -> str:
    """The text for an applicant if a feature has no value, from the labels of its inputs.

    >>> missing_text(["the interest rate of the loan", "the declared income", "the interest rate of the loan"])
    'Information is missing: the interest rate of the loan, or the declared income'
    """
    named = list(dict.fromkeys(labels))
    return f"Information is missing: {', or '.join(named)}" if named else "Information is missing"


def _feature(column: Mapping[str, Any], model: str, labels: Sequence[str]) -> FeatureColumn:
    meta, where = _meta(column), f"{model}.{column['name']}"
    data_type = _required(column, "data_type", where).lower()
    if data_type not in _KINDS:
        raise ContractError(f"{where}: a feature must be of type {', '.join(_KINDS)}: found {data_type}")
    kind = _KINDS[data_type]
    if kind == "categorical" and not meta.get("values"):
        raise ContractError(f"{where}: a categorical feature must list its values")
    if kind == "numeric" and not meta.get("range"):
        raise ContractError(f"{where}: a numeric feature must state its plausible range, [low, high]")
    if kind != "numeric" and meta.get("monotone", "none") != "none":
        raise ContractError(f"{where}: only a numeric feature can be monotone: found {meta['monotone']!r}")
    if not meta.get("reason"):
        raise ContractError(f"{where}: a feature must give the reason text that a declined applicant would read")
    return FeatureColumn(
        name=column["name"],
        data_type=data_type,
        description=_required(column, "description", where),
        kind=kind,
        range=_range(meta, where),
        values=tuple(meta["values"]) if meta.get("values") else None,
        monotone=_one_of(meta.get("monotone", "none"), get_args(Monotone), "monotone", where),
        reason=meta["reason"],
        missing=missing_text(labels),
    )


def _one_of(value: Any, allowed: tuple[Any, ...], name: str, where: str) -> Any:
    if value not in allowed:
        raise ContractError(f"{where}: {name} must be one of {', '.join(allowed)}: found {value!r}")
    return value


def _required(column: Mapping[str, Any], key: str, where: str) -> str:
    if not column.get(key):
        raise ContractError(f"{where}: {key} is required")
    return str(column[key]).strip()


def _range(meta: Mapping[str, Any], where: str) -> tuple[float, float] | None:
    bounds = meta.get("range")
    if bounds is None:
        return None
    if any(not isinstance(bound, int | float) for bound in bounds):
        raise ContractError(f"{where}: range must be two numbers; YAML reads 1e9 as text: found {bounds!r}")
    if len(bounds) != 2 or not bounds[0] < bounds[1]:
        raise ContractError(f"{where}: range must be [low, high] with low below high: found {bounds!r}")
    return float(bounds[0]), float(bounds[1])
