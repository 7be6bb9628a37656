"""The contract is read from dbt's manifest alone: what it must say, and how a manifest that does not is refused."""

import json
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from warehouse.errors import ContractError
from warehouse.features.contract import FeatureContract, compile_contract, unknown_names
from warehouse.features.manifest import newest_version, versions_of
from warehouse.lenders.lender import Lender, RequestSettings

Manifest = dict[str, Any]

V1 = "select application_id, requested_amount as amount, purpose, Is_New from t"
V2 = "select application_id, requested_amount * purpose_default_rate as amount from t"


def _column(name: str, data_type: str, **meta: Any) -> dict[str, Any]:
    # dbt 1.11 keeps meta in the column's config, and a copy beside it
    return {"name": name, "data_type": data_type, "description": f"{name}.\n", "config": {"meta": meta}, "meta": meta}


def _model(
    name: str, columns: list[dict[str, Any]], version: int | None = None, latest: int | None = None, sql: str = ""
) -> Manifest:
    unique_id = f"model.loanlake.{name}" + (f".v{version}" if version else "")
    return {
        "unique_id": unique_id,
        "resource_type": "model",
        "name": name,
        "version": version,
        "latest_version": latest,
        "columns": {column["name"]: column for column in columns},
        "compiled_code": sql,
    }


@pytest.fixture
def manifest() -> Manifest:
    """Two versions of a feature table, the first the latest, over five inputs."""
    inputs = _model(
        "ftr_application_inputs",
        [
            _column("application_id", "varchar", origin="key"),
            _column("requested_amount", "double", origin="request", required=True, range=[1, 100], example=10),
            _column("purpose", "varchar", origin="request", values=["car", "house"]),
            _column("is_new", "boolean", origin="request"),
            _column("purpose_default_rate", "double", origin="cohort", segment="purpose"),
        ],
    )
    features = [
        _column("application_id", "varchar", role="key"),
        _column("amount", "DOUBLE", role="feature", range=[1, 100], monotone="increasing", reason="High"),
        _column("purpose", "varchar", role="feature", values=["car", "house"], reason="Purpose"),
        _column("is_new", "boolean", role="feature", reason="New"),
    ]
    models = [
        inputs,
        _model("ftr_application", features, version=1, latest=1, sql=V1),
        _model("ftr_application", features[:2], version=2, latest=1, sql=V2),
    ]
    return {
        "nodes": {
            "test.loanlake.ftr_application": {"resource_type": "test", "name": "ftr_application"},
            **{model["unique_id"]: model for model in models},
        }
    }


def test_the_latest_version_is_read_unless_another_is_named(manifest: Manifest) -> None:
    latest, named = FeatureContract.from_manifest(manifest), FeatureContract.from_manifest(manifest, version=2)

    assert (latest.version, latest.sql, latest.feature_names) == ("v1", V1, ("amount", "purpose", "is_new"))
    assert (named.version, named.sql, named.feature_names) == ("v2", V2, ("amount",))


def test_a_missing_feature_is_told_by_the_inputs_that_it_is_made_of(manifest: Manifest) -> None:
    """In an applicant's words; the amount requested is required, and so never what is missing."""
    nodes = manifest["nodes"]
    columns = nodes["model.loanlake.ftr_application_inputs"]["columns"]
    columns["purpose_default_rate"]["config"]["meta"]["label"] = "how loans for this purpose ended"

    latest, second = FeatureContract.from_manifest(manifest), FeatureContract.from_manifest(manifest, version=2)

    assert {feature.name: feature.missing for feature in latest.features} == {
        "amount": "Information is missing",
        "purpose": "Information is missing: purpose",
        "is_new": "Information is missing: is new",
    }
    assert second.features[0].missing == "Information is missing: how loans for this purpose ended"


def test_a_column_keeps_what_its_metadata_says(manifest: Manifest) -> None:
    contract = FeatureContract.from_manifest(manifest)

    amount, purpose, is_new = contract.features
    assert (amount.kind, amount.range, amount.monotone, amount.reason) == (
        "numeric",
        (1.0, 100.0),
        "increasing",
        "High",
    )
    assert (purpose.kind, purpose.values, purpose.range) == ("categorical", ("car", "house"), None)
    assert (is_new.kind, is_new.monotone, is_new.description) == ("boolean", "none", "is_new.")
    requested = contract.inputs[1]
    assert (requested.required, requested.range, requested.example) == (True, (1.0, 100.0), 10)


def test_a_lender_sets_its_own_reasons_and_limits(manifest: Manifest) -> None:
    columns = manifest["nodes"]["model.loanlake.ftr_application.v1"]["columns"]
    columns["requested_amount"] = {**columns.pop("amount"), "name": "requested_amount"}
    contract = FeatureContract.from_manifest(manifest)
    lender = Lender(
        Path("bank.yml"),
        reasons={"is_new": "First loan"},
        limits={"requested_amount": (0.0, 50.0)},
        request=RequestSettings(optional=("requested_amount",)),
    )

    own = contract.of_lender(lender)

    assert [feature.reason for feature in own.features if feature.name == "is_new"] == ["First loan"]
    assert [column.range for column in own.inputs if column.name == "requested_amount"] == [(0.0, 50.0)]
    assert [feature.range for feature in own.features if feature.name == "requested_amount"] == [(0.0, 50.0)]
    assert [column.required for column in own.inputs if column.name == "requested_amount"] == [False]
    # rows of all lenders: what either admits
    [amount] = [each for each in contract.admitting([lender]).features if each.name == "requested_amount"]
    assert amount.range == (0.0, 100.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reasons": {"is_knew": "x"}}, "bank.yml: reasons must name features v1: found is_knew, did you mean is_new?"),
        (
            {"limits": {"is_new": (0, 1)}},
            "bank.yml: limits must name numbers of a request: found is_new; known are",
        ),
    ],
)
def test_what_a_lenders_file_names_must_exist(manifest: Manifest, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError, match=re.escape(message)):
        FeatureContract.from_manifest(manifest).of_lender(Lender(Path("bank.yml"), **settings))


def test_inputs_are_found_by_origin(manifest: Manifest) -> None:
    contract = FeatureContract.from_manifest(manifest, version=2)

    assert [column.name for column in contract.inputs_of("key", "cohort")] == ["application_id", "purpose_default_rate"]


def test_a_version_has_the_inputs_its_sql_reads(manifest: Manifest) -> None:
    """v2 does not read the purpose, but its cohort is looked up by it."""
    first, second = (FeatureContract.from_manifest(manifest, version=version) for version in (1, 2))

    assert [column.name for column in first.inputs] == ["application_id", "requested_amount", "purpose", "is_new"]
    assert [column.name for column in second.inputs] == [
        "application_id",
        "requested_amount",
        "purpose",
        "purpose_default_rate",
    ]


def test_an_input_added_for_a_later_version_leaves_the_earlier_contract_as_it_was(manifest: Manifest) -> None:
    before = FeatureContract.from_manifest(manifest, version=1)
    inputs, second = (
        manifest["nodes"][f"model.loanlake.{name}"] for name in ("ftr_application_inputs", "ftr_application.v2")
    )
    inputs["columns"]["installment"] = _column("installment", "double", origin="request", required=True)
    second["compiled_code"] = "select application_id, requested_amount / installment as amount from t"

    assert FeatureContract.from_manifest(manifest, version=1).fingerprint == before.fingerprint
    assert "installment" in {column.name for column in FeatureContract.from_manifest(manifest, version=2).inputs}


def test_sql_that_is_no_row_level_select_is_refused(manifest: Manifest) -> None:
    manifest["nodes"]["model.loanlake.ftr_application.v1"]["compiled_code"] = "select sum(x) as x from t group by y"

    with pytest.raises(ContractError, match="ftr_application_v1: a feature model is one select of scalar expressions"):
        FeatureContract.from_manifest(manifest)


def test_a_contract_survives_json(manifest: Manifest) -> None:
    """A bundle carries it as JSON, where every tuple becomes a list."""
    contract = FeatureContract.from_manifest(manifest)

    restored = FeatureContract.from_dict(json.loads(json.dumps(contract.to_dict())))

    assert restored == contract
    assert restored.fingerprint == contract.fingerprint


def test_the_fingerprint_changes_with_the_sql(manifest: Manifest) -> None:
    before = FeatureContract.from_manifest(manifest).fingerprint
    manifest["nodes"]["model.loanlake.ftr_application.v1"]["compiled_code"] = V1.replace(
        "purpose", "lower(purpose) as purpose"
    )

    assert FeatureContract.from_manifest(manifest).fingerprint != before


def test_the_manifest_may_be_a_file(manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest))

    assert FeatureContract.from_manifest(path) == FeatureContract.from_manifest(manifest)


def test_a_manifest_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="run `dbt build`"):
        FeatureContract.from_manifest(tmp_path / "manifest.json")


def test_a_parsed_manifest_is_not_enough(dbt_manifest: Path) -> None:
    """``dbt parse`` compiles nothing: a contract without SQL could not be served."""
    with pytest.raises(ContractError, match="is not compiled: run `dbt compile`"):
        FeatureContract.from_manifest(dbt_manifest)


def test_the_projects_own_columns_are_complete(dbt_manifest: Path) -> None:
    """Every cohort's segment is something that a request gives, and every input of a request shows an example."""
    manifest = json.loads(dbt_manifest.read_text())
    names = manifest["nodes"]["model.loanlake.ftr_application_inputs"]["columns"]
    manifest["nodes"]["model.loanlake.ftr_application.v2"]["compiled_code"] = f"select {', '.join(names)} from t"

    contract = FeatureContract.from_manifest(manifest)

    asked = {column.name for column in contract.inputs_of("request")}
    assert {column.segment for column in contract.inputs_of("cohort")} <= asked | {"all"}
    assert [column.name for column in contract.inputs_of("request") if column.required and column.example is None] == []
    assert [column.name for column in contract.inputs[:4]] == ["application_id", "borrower_id", "source", "decided_at"]
    assert len(contract.features) > 40


def _change(name: str, **changes: Any) -> Callable[[Manifest], None]:
    """Change a column's metadata; None takes a key away."""

    def change(manifest: Manifest) -> None:
        for model in manifest["nodes"].values():
            if name in model.get("columns", {}):
                column = model["columns"][name] = deepcopy(model["columns"][name])
                for key, value in changes.items():
                    place = column if key in ("data_type", "description") else column["config"]["meta"]
                    place[key] = value
                    if value is None:
                        del place[key]
                column["meta"] = column["config"]["meta"]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_change("requested_amount", origin="guess"), r"requested_amount: origin must be one of .*: found 'guess'"),
        (_change("requested_amount", origin=None), r"requested_amount: origin must be one of"),
        (_change("purpose_default_rate", segment=None), r"purpose_default_rate: a cohort input must name its segment"),
        (_change("purpose_default_rate", segment="colour"), r"segment 'colour' is no request input"),
        (_change("amount", range=None), r"amount: a numeric feature must state its plausible range"),
        (_change("amount", range=[5, 5]), r"amount: range must be \[low, high\] with low below high: found \[5, 5\]"),
        (_change("amount", range=[5]), r"amount: range must be \[low, high\]"),
        (_change("amount", range=[0, "1e9"]), r"amount: range must be two numbers; YAML reads 1e9 as text: found"),
        (_change("amount", monotone="up"), r"amount: monotone must be one of increasing, decreasing, none: found 'up'"),
        (_change("amount", reason=None), r"amount: a feature must give the reason text"),
        (_change("amount", data_type=None), r"amount: data_type is required"),
        (_change("amount", data_type="date"), r"amount: a feature must be of type .*: found date"),
        (_change("amount", description=None), r"amount: description is required"),
        (_change("purpose", values=None), r"ftr_application.purpose: a categorical feature must list its values"),
        (_change("purpose", monotone="increasing"), r"ftr_application.purpose: only a numeric feature can be monotone"),
    ],
)
def test_a_column_that_says_too_little_is_refused(
    manifest: Manifest, change: Callable[[Manifest], None], message: str
) -> None:
    change(manifest)

    with pytest.raises(ContractError, match=message):
        FeatureContract.from_manifest(manifest)


def test_a_version_that_does_not_exist_is_refused(manifest: Manifest) -> None:
    with pytest.raises(
        ContractError, match=r"has no version v9: the dbt project has v1, v2; .* bring ftr_application_v9.sql"
    ):
        FeatureContract.from_manifest(manifest, version=9)


def test_a_project_without_the_inputs_is_refused(manifest: Manifest) -> None:
    del manifest["nodes"]["model.loanlake.ftr_application_inputs"]

    with pytest.raises(ContractError, match=r"exactly one model ftr_application_inputs: found 0"):
        FeatureContract.from_manifest(manifest)


def test_a_contract_without_features_is_refused(manifest: Manifest) -> None:
    columns = manifest["nodes"]["model.loanlake.ftr_application.v1"]["columns"]
    for column in columns.values():
        column["config"]["meta"]["role"] = column["meta"]["role"] = "key"

    with pytest.raises(ContractError, match=r"ftr_application v1 declares no column with role: feature"):
        FeatureContract.from_manifest(manifest)


OWN = "select application_id, requested_amount as amount, amount / property_value as loan_to_value from t"


@pytest.fixture
def extended(manifest: Manifest) -> Manifest:
    """The same, and version 1 extended by mybank: a column of its own and a feature made of it."""
    inputs = [_column("property_value", "double", origin="request", required=True, range=[1, 900], label="the value")]
    feature = _column(
        "loan_to_value", "double", role="feature", range=[0, 9], monotone="increasing", reason="Loan high"
    )
    nodes = manifest["nodes"]
    # of version 1, only amount is read by the extended select
    for name in ("purpose", "is_new"):
        del nodes["model.loanlake.ftr_application.v1"]["columns"][name]
    for model in (
        _model("ftr_application_inputs_mybank", inputs),
        _model("ftr_application_v1_mybank", [feature], sql=OWN),
    ):
        nodes[model["unique_id"]] = model
    return manifest


def test_an_extended_version_has_the_shared_columns_and_then_the_lenders_own(extended: Manifest) -> None:
    contract = FeatureContract.from_manifest(extended, version="v1_mybank")

    assert (contract.version, contract.sql) == ("v1_mybank", OWN)
    assert contract.feature_names == ("amount", "loan_to_value")
    assert contract.input_names == ("application_id", "requested_amount", "property_value")
    assert contract.features[1].reason == "Loan high"
    compiled = compile_contract(contract)
    assert compiled({"application_id": "a", "requested_amount": 50.0, "property_value": 100.0}) == (50.0, 0.5)


def test_an_extension_changes_no_contract_of_others(manifest: Manifest, extended: Manifest) -> None:
    alone = {key: node for key, node in extended["nodes"].items() if not key.endswith("_mybank")}

    shared = FeatureContract.from_manifest(extended, version=1)

    assert shared.fingerprint == FeatureContract.from_manifest({"nodes": alone}, version=1).fingerprint
    assert [str(version) for version in versions_of(extended)] == ["v1", "v2", "v1_mybank"]
    assert [str(version) for version in versions_of(extended, lender="other")] == ["v1", "v2"]
    assert str(newest_version(extended, "mybank")) == "v1_mybank"
    assert str(newest_version(extended, "other")) == "v1"


def test_another_lenders_extension_is_refused_by_name(extended: Manifest) -> None:
    contract = FeatureContract.from_manifest(extended, version="v1_mybank")

    assert contract.of_lender(Lender(Path("mybank.yml"), limits={"property_value": (1, 99)})).inputs[2].range == (1, 99)
    with pytest.raises(ContractError, match=r"v1_mybank are those that mybank extends .*: other has not got them"):
        contract.of_lender(Lender(Path("other.yml")))


def test_the_lenders_file_may_name_its_own_columns(extended: Manifest) -> None:
    settings = Lender(
        Path("mybank.yml"),
        reasons={"loan_to_value": "Too little of your own"},
        limits={"property_value": (1, 99)},
        request=RequestSettings(optional=("property_value",)),
        honest_features={"loan_to_value": "appraised before the decision"},
    )

    assert unknown_names(settings, extended) == ()
    assert any("property_value" in each for each in unknown_names(replace(settings, path=Path("other.yml")), extended))


@pytest.mark.parametrize(
    ("model", "old", "new", "message"),
    [
        (
            "ftr_application_inputs_mybank",
            "property_value",
            _column("purpose", "varchar", origin="request", values=["x"]),
            r"inputs_mybank.purpose must have a name that no shared .*: found ftr_application_inputs.purpose",
        ),
        (
            "ftr_application_v1_mybank",
            "loan_to_value",
            _column("Amount", "double", role="feature", range=[0, 1], reason="x"),
            r"v1_mybank.Amount must have a name that no shared .*: found ftr_application.amount",
        ),
        (
            "ftr_application_inputs_mybank",
            "property_value",
            _column("property_value", "double", origin="cohort", segment="all"),
            r"inputs_mybank.property_value: the origin of .* must be request or history: found cohort",
        ),
    ],
)
def test_an_own_column_that_is_not_a_lenders_own_is_refused(
    extended: Manifest, model: str, old: str, new: dict[str, Any], message: str
) -> None:
    columns = extended["nodes"][f"model.loanlake.{model}"]["columns"]
    del columns[old]
    columns[new["name"]] = new

    with pytest.raises(ContractError, match=message):
        FeatureContract.from_manifest(extended, version="v1_mybank")


def test_a_column_that_a_model_needs_and_the_project_lost_is_named(extended: Manifest) -> None:
    contract = FeatureContract.from_manifest(extended, version="v1_mybank")
    before = contract.gone_from(extended)

    del extended["nodes"]["model.loanlake.ftr_application_inputs_mybank"]["columns"]["property_value"]
    del extended["nodes"]["model.loanlake.ftr_application_v1_mybank"]["columns"]["loan_to_value"]

    assert before == ()
    assert contract.gone_from(extended) == ("property_value", "loan_to_value")


def test_a_version_that_the_lender_does_not_extend_is_refused(extended: Manifest) -> None:
    with pytest.raises(ContractError, match=r"no model ftr_application_v2_mybank; .* on v1, v2, v1_mybank"):
        FeatureContract.from_manifest(extended, version="v2_mybank")
