"""One input or feature of the contract, read from its entry in a dbt model's YAML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from warehouse.errors import ContractError

Origin = Literal["key", "context", "request", "history", "cohort"]
Kind = Literal["numeric", "boolean", "categorical"]
Monotone = Literal["increasing", "decreasing", "none"]

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


def meta_of(column: Mapping[str, Any]) -> Mapping[str, Any]:
    """A column's meta: dbt keeps it in the column's config, and earlier versions beside it."""
    return (column.get("config") or {}).get("meta") or column.get("meta") or {}


def read_input(column: Mapping[str, Any], model: str) -> InputColumn:
    """An input from its entry in the YAML of ``model``; raises ContractError for what its meta lacks or has wrong."""
    meta, where = meta_of(column), f"{model}.{column['name']}"
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


def read_feature(column: Mapping[str, Any], model: str, labels: Sequence[str]) -> FeatureColumn:
    """A feature from its entry in the YAML of ``model``; ``labels``: of the inputs that it is made of."""
    meta, where = meta_of(column), f"{model}.{column['name']}"
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
