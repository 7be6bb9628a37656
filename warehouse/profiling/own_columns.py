"""Columns that only one lender has: how one that a person chose is typed, and the models that carry it to a model.

None is chosen by itself: a column without a known meaning may have been written after the decision, and know the
outcome.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from warehouse.errors import SettingError
from warehouse.lake.feature_tables import FEATURES_MODEL, INPUTS_MODEL
from warehouse.profiling.answers import Answers
from warehouse.profiling.columns import BOOLEANS, Field, field_of, require_keys, reserved
from warehouse.profiling.meanings import CONTRACTS, DATED, Contract, Meaning, contract_columns
from warehouse.profiling.personal import personal
from warehouse.profiling.profile import MOST_VALUES, ColumnProfile
from warehouse.profiling.spelling import Spelling
from warehouse.settings import DBT_PROJECT_DIR

#: Contracts with columns of a lender's own; an outcome is what a model foretells.
OWN: tuple[Contract, ...] = tuple(contract for contract in CONTRACTS if contract != "outcomes")
_MOST_INTEGER = 2**31 - 1
_PERCENT = 100
#: Of the input that is made of a column of statements.
_LATEST = "latest_"
_ROWS = {"applications": "application", "statements": "borrower and statement", "demographics": "borrower"}


@dataclass(frozen=True)
class OwnColumn:
    """A chosen column: its reading, SQL type, and the values or the range that a model and a request may have."""

    field: Field
    data_type: str
    values: tuple[str, ...] = ()
    range: tuple[int, int] | None = None
    example: Any = None

    @property
    def name(self) -> str:
        """The typed column."""
        return self.field.name

    @property
    def words(self) -> str:
        """The column's name as words."""
        return self.name.replace("_", " ")


def own_column(contract: Contract, column: ColumnProfile, spelling: Spelling, answers: Answers) -> OwnColumn:
    """The typing of a column of a file of this contract; raises SettingError if no model can learn from it."""
    meaning = own_meaning(contract, column, spelling)
    require_keys(meaning, column, spelling, answers)
    field = field_of(meaning, column, spelling, answers)
    if spelling.kind == "number":
        return _number(meaning, column, field)
    if meaning.format == "boolean":
        return OwnColumn(field, "boolean", example=True)
    texts = _texts(column)
    missing = {"missing": list(column.null_words)} if column.null_words else {}
    reading = {**field.reading, "values": {text: text for text in texts}, **missing}
    return OwnColumn(replace(field, reading=reading), "varchar", values=texts, example=texts[0])


def own_meaning(contract: Contract, column: ColumnProfile, spelling: Spelling) -> Meaning:
    """The column's own meaning: its name, format and limits; raises as :func:`own_column`."""
    what, texts = f"--own {column.name}", _texts(column)
    if contract not in OWN:
        raise SettingError(f"{what} must be a column of a file with {', '.join(OWN)}: found one with {contract}")
    if (person := personal(column)) is not None and contract != "demographics":
        raise SettingError(
            f"{what} must not name a person, of whom no model may learn: found {person}; leave it out, or add a column "
            "made of it by hand"
        )
    if spelling.kind in DATED:
        raise SettingError(
            f"{what} must have numbers or a few texts: found dates ({column.shapes[0].example}); no feature is a date. "
            "Add it by hand, and a number made of it: docs/examples/own-columns.md"
        )
    name = _name(contract, column.name)
    if spelling.kind == "number":
        form = _format(column, spelling)
        bounds = _bounds(column, is_percent=form == "percent")
        return Meaning(name, (contract,), form, frozenset(), False, *bounds)
    if not texts:
        raise SettingError(
            f"{what} must have at most {MOST_VALUES} different texts, of which a model can learn: found "
            f"{column.n_distinct:,}; map them to fewer in the file, or add the column by hand"
        )
    form = "boolean" if {text.lower() for text in texts} <= BOOLEANS else "text"
    return Meaning(name, (contract,), form, frozenset(), False, None, None)


def _name(contract: Contract, column: str) -> str:
    """The column's name, or ``own_`` and it where SQL or a shared column has taken it."""
    taken = {*_taken(), *reserved()}
    is_taken = column in taken or (contract == "statements" and f"{_LATEST}{column}" in taken)
    if re.fullmatch("[a-z_][a-z0-9_]*", column) and not is_taken:
        return column
    letters = re.sub(r"[^a-z0-9]+", "_", column).strip("_")
    if not letters:
        raise SettingError(
            f"--own {column} must have a name with letters of a to z, which SQL and callers write: rename it"
        )
    return f"own_{letters}"


def _texts(column: ColumnProfile) -> tuple[str, ...]:
    return tuple(text for text, _ in column.values if text not in column.null_words)


def own_files(
    name: str, owns: Mapping[Contract, Sequence[OwnColumn]], rendered: Callable[..., str]
) -> Iterator[tuple[Path, str]]:
    """Path in the dbt project → text of every file that carries the chosen columns; none without any.

    ``rendered``: a template of this name with these values.
    """
    owns = {contract: owns[contract] for contract in OWN if owns.get(contract)}
    version = newest_version()
    common = {
        "name": name,
        "version": version,
        "blocks": ", ".join([*(f"features_since_{each}()" for each in range(1, version + 1)), f"features_of_{name}()"]),
        "request": [_shown(column) for column in owns.get("applications", ())],
        "history": [_shown(column, prefix=_LATEST) for column in owns.get("statements", ())],
        "owns": {contract: [_shown(column) for column in columns] for contract, columns in owns.items()},
        "rows": _ROWS,
    }
    has_history, has_inputs = "statements" in owns, bool(owns.keys() & {"applications", "statements"})
    core, features, training = (Path("models") / layer / name for layer in ("core", "features", "training"))
    monitoring, macros = Path("models/monitoring") / name, Path("macros/features")
    if owns:
        for contract in owns:
            yield core / f"int_{contract}_{name}.sql", rendered("own/core.sql", contract=contract, **common)
        yield core / f"int_{name}.yml", rendered("own/core.yml", **common)
    if has_history:
        yield macros / f"history_of_{name}.sql", rendered("own/history_macro.sql", **common)
        yield features / f"ftr_application_history_{name}.sql", rendered("own/history.sql", **common)
        yield features / f"ftr_online_borrowers_{name}.sql", rendered("own/online.sql", **common)
        yield monitoring / f"decision_history_{name}.sql", rendered("own/decision_history.sql", **common)
        yield monitoring / f"decision_history_{name}.yml", rendered("own/decision_history.yml", **common)
    if has_inputs:
        yield macros / f"features_of_{name}.sql", rendered("own/features_macro.sql", **common)
        yield features / f"ftr_application_inputs_{name}.sql", rendered("own/inputs.sql", **common)
        yield features / f"ftr_application_v{version}_{name}.sql", rendered("own/features.sql", **common)
        yield features / f"ftr_{name}.yml", rendered("own/features.yml", **common)
        yield training / f"trn_default_v{version}_{name}.sql", rendered("own/training.sql", **common)
        yield training / f"trn_{name}.yml", rendered("own/training.yml", **common)


@cache
def newest_version() -> int:
    """The latest version of the features of every lender, which an extension starts from."""
    return int(_model("features", FEATURES_MODEL)["latest_version"])


def _number(meaning: Meaning, column: ColumnProfile, field: Field) -> OwnColumn:
    data_type = "integer" if field.reading["format"] == "integer" else "double"
    example = column.middle if data_type == "double" or column.middle is None else round(column.middle)
    low, high = int(field.reading.get("min", meaning.low or 0)), int(field.reading.get("max", meaning.high or 0))
    if example is not None and field.reading["format"] == "percent":
        example = float(f"{example / _PERCENT:.6g}")
    return OwnColumn(field, data_type, range=(low, high), example=example)


def _format(column: ColumnProfile, spelling: Spelling) -> str:
    if "sign" in spelling.keys:
        return "percent"
    is_whole = all(shape.text.strip().lstrip("-").replace("9", "") == "" for shape in column.shapes)
    return "integer" if is_whole and (column.high or 0) <= _MOST_INTEGER / 100 else "double"


def _bounds(column: ColumnProfile, *, is_percent: bool) -> tuple[int, int]:
    """What is found, with room: 0, or as far below it, to a power of ten at least ten times the largest number.

    As it is typed: 12 % is 0.12.
    """
    scale = _PERCENT if is_percent else 1
    largest = max(abs(column.low or 0) / scale, abs(column.high or 0) / scale, 1)
    room = 10 ** math.ceil(math.log10(10 * largest))
    return (0 if (column.low or 0) >= 0 else -room), room


@cache
def _taken() -> frozenset[str]:
    """Names of shared inputs and features, and of the contracts' columns."""
    names = {
        column["name"] for model in (INPUTS_MODEL, FEATURES_MODEL) for column in _model("features", model)["columns"]
    }
    return frozenset(names.union(*map(contract_columns, CONTRACTS)))


def _model(layer: str, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load((DBT_PROJECT_DIR / "models" / layer / f"{name}.yml").read_text())
    model: Mapping[str, Any] = found["models"][0]
    return model


def _shown(column: OwnColumn, *, prefix: str = "") -> dict[str, Any]:
    """What the templates show of a column; ``prefix``: of the input that is made of it."""
    values, low_high = json.dumps(column.values, ensure_ascii=False), json.dumps(column.range)
    limits = f", values: {values}" if column.values else f", range: {low_high}" if column.range else ""
    tests = ""
    if column.values:
        tests = f"[{{accepted_values: {{arguments: {{values: {values}}}}}}}]"
    elif column.range:
        tests = f"[{{within_range: {{arguments: {{low: {column.range[0]}, high: {column.range[1]}}}}}}}]"
    return {
        "name": column.name,
        "input": f"{prefix}{column.name}",
        "words": column.words,
        "data_type": column.data_type,
        "limits": limits,
        "tests": tests,
        "example": json.dumps(column.example, ensure_ascii=False),
    }
