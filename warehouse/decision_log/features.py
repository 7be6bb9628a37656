"""Features of decisions in the lake, one row a decision: ``serving.decision_features_v1`` and so on.

Its columns, types and descriptions are the contract's. A decision and its features are committed together. A value that
its column cannot hold is an error: the decision stays in the outbox.
"""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from warehouse.decision_log.json_text import dump_values
from warehouse.errors import LakeError
from warehouse.settings import Settings
from warehouse.sql.quoting import identifier, literal

if TYPE_CHECKING:
    import duckdb


class _Feature(msgspec.Struct, frozen=True):
    name: str
    data_type: str
    description: str


class _Contract(msgspec.Struct, frozen=True):
    features: tuple[_Feature, ...]


def features_table(version: str) -> str:
    """The table for decisions made with this feature version."""
    if not re.fullmatch(r"\w+", version):
        raise LakeError(f"a feature version must be a word such as v2: found {version!r}")
    return f"serving.decision_features_{version}"


def declare_features(
    con: "duckdb.DuckDBPyConnection", settings: Settings, model_name: str, model_version: int, version: str
) -> Mapping[str, str]:
    """Feature → DuckDB type by a model's contract; ensures that the version's table has these columns.

    ``con`` is a writer's. Without the model's bundle the existing table gives the types. Raises LakeError if both are
    missing, or if the contract changes the type of a column: a version that has decided must not change.
    """
    table, present = features_table(version), feature_types(con, version)
    contract = settings.bundles / model_name / str(model_version) / "contract.json"
    if not contract.exists():
        if present is None:
            raise LakeError(
                f"decisions with features {version} need the contract of {model_name} version {model_version}, which "
                f"is not at {contract}: restore the bundle from a backup; the decisions stay in the log until then"
            )
        return present
    if present is None:
        con.execute(f"create table {table} (decision_id varchar)")
        con.execute(
            f"comment on table {table} is 'One row per decision: the features {version} that it was made with.'"
        )
        con.execute(f"comment on column {table}.decision_id is 'The decision, answered or in shadow.'")
    features = msgspec.json.decode(contract.read_bytes(), type=_Contract).features
    for feature in features:
        name, found = identifier(feature.name), (present or {}).get(feature.name)
        if found is None:
            con.execute(f"alter table {table} add column {name} {feature.data_type}")
            con.execute(f"comment on column {table}.{name} is {literal(feature.description)}")
        elif found != feature.data_type.upper():
            raise LakeError(
                f"{table}.{feature.name} must be {found.lower()}, as decisions were logged: found "
                f"{feature.data_type} in {contract}; give the changed features a new version"
            )
    return {feature.name: feature.data_type.upper() for feature in features}


def feature_types(con: "duckdb.DuckDBPyConnection", version: str) -> dict[str, str] | None:
    """Feature → DuckDB type, in table order; None without decisions of this version."""
    import duckdb

    try:
        columns = con.execute(f"describe {features_table(version)}").fetchall()
    except duckdb.CatalogException:
        return None
    return {name: data_type for name, data_type, *_ in columns if name != "decision_id"}


def decided_features(con: "duckdb.DuckDBPyConnection", version: str, types: Mapping[str, str]) -> str:
    """SQL to follow ``from``: the features of decisions; no rows without decisions of this version."""
    if feature_types(con, version) is not None:
        return features_table(version)
    columns = "".join(f", null::{data_type} as {identifier(name)}" for name, data_type in types.items())
    return f"(select null::varchar as decision_id{columns} where false)"


def keep_features(con: "duckdb.DuckDBPyConnection", settings: Settings, decisions: str) -> None:
    """Store the JSON ``features`` of all rows of a relation, typed; raises LakeError for a value that does not fit."""
    import duckdb

    models = con.execute(f"select distinct model_name, model_version, feature_version from {decisions}").fetchall()
    for model in models:
        types = declare_features(con, settings, *model)
        # strict: a missing feature, or a text instead of a number, raises instead of becoming null
        seen = (
            f"case when len(json_keys(features)) = {len(types)} then "
            f"from_json_strict(features, {literal(json.dumps(types))}) "
            "else error('found ' || array_to_string(json_keys(features), ', ')) end"
        )
        try:
            con.execute(
                f"insert into {features_table(model[2])} by name select decision_id, seen.* from ("
                f"select decision_id, {seen} as seen from {decisions} "
                "where model_name = ? and model_version = ? and feature_version = ?)",
                list(model),
            )
        except duckdb.InvalidInputException as error:
            raise LakeError(
                f"decisions of {model[0]} version {model[1]} must have the features of its contract: {error}"
            ) from error


def read_features(con: "duckdb.DuckDBPyConnection", version: str, decision_id: str) -> str:
    """The features of one decision, as JSON text by name."""
    result = con.execute(f"select * from {decided_features(con, version, {})} where decision_id = ?", [decision_id])
    row = result.fetchone()
    if row is None:
        raise LakeError(f"{features_table(version)} lacks decision {decision_id}: restore the lake from a backup")
    values = dict(zip((column[0] for column in result.description or ()), row, strict=True))
    del values["decision_id"]
    return dump_values(values)
