"""The feature versions of the dbt project: for each, a table of features and a table of training rows."""

import json
from functools import cache

import dagster as dg

from ml.registry.deployment import Deployment
from orchestration.lib.champions import challenger_of, champion_of
from orchestration.lib.dbt_project import asset_key, prepared_manifest
from warehouse.errors import NotFoundError, RunRefused
from warehouse.features.contract import FeatureContract
from warehouse.lake.feature_tables import FEATURES_MODEL, TRAINING_MODEL
from warehouse.lenders.rules import lenders_of_project, read_lender
from warehouse.settings import DBT_PROJECT_DIR, Settings

_FEATURES_YAML = DBT_PROJECT_DIR / "models" / "features" / f"{FEATURES_MODEL}.yml"


def feature_tables() -> dict[str, dg.AssetKey]:
    """Every version's feature table, such as ``v1`` → ``features/ftr_application_v1``, oldest version first."""
    return _tables(FEATURES_MODEL)


def training_tables() -> dict[str, dg.AssetKey]:
    """Every version's training table, such as ``v1`` → ``training/trn_default_v1``, oldest version first."""
    return _tables(TRAINING_MODEL)


def feature_contract(settings: Settings, version: str = "", *, source: str = "") -> FeatureContract:
    """Read a version, such as ``v1`` (default: the latest), from dbt's manifest of that build.

    ``source``: with this lender's reason texts and limits. Default: as tables of all lenders have it.

    Raises NotFoundError before the first build, ContractError if the project has no such version.
    """
    manifest = settings.dbt_target / "manifest.json"
    if not manifest.exists():
        raise NotFoundError(f"no dbt manifest at {manifest}: build the feature tables with `loanlake run` first")
    contract = FeatureContract.from_manifest(manifest, version=version or None)
    if source:
        return contract.of_lender(read_lender(source))
    return contract.admitting(map(read_lender, lenders_of_project()))


def require_versions(settings: Settings, source: str, wanted: str = "") -> None:
    """Raise RunRefused if the project lacks the version ``wanted`` (``2`` or ``v2``), or a served one.

    A champion scores, and is compared with candidates, on its version's table; a challenger's drift uses its own. dbt
    leaves a table that it no longer builds unchanged, without notice.
    """
    existing = feature_tables()
    if wanted and f"v{wanted.removeprefix('v')}" not in existing:
        raise RunRefused(
            f"{FEATURES_MODEL} has no version {wanted}: {_FEATURES_YAML} lists {', '.join(existing)}; name one of them"
        )
    champion, challenger = champion_of(settings, source), challenger_of(settings, source)
    if champion is not None:
        _require_built(champion, "in service", "serve a model of another version with `loanlake model promote`")
    if challenger is not None:
        _require_built(challenger.deployment, "on trial", "end the trial with `loanlake challenge end`")


def _require_built(deployment: Deployment, state: str, way_out: str) -> None:
    existing, version = feature_tables(), deployment.feature_version
    if version not in existing:
        raise RunRefused(
            f"{deployment.model_name} version {deployment.model_version} is {state} and needs {FEATURES_MODEL} "
            f"{version}, which the dbt project no longer has ({_FEATURES_YAML} lists {', '.join(existing)}): bring "
            f"{FEATURES_MODEL}_{version}.sql, {TRAINING_MODEL}_{version}.sql and their lines under `versions:` back, "
            f"or {way_out} and then delete it"
        )


@cache
def _tables(name: str) -> dict[str, dg.AssetKey]:
    manifest = json.loads(prepared_manifest(Settings.from_environment()).read_text())
    nodes = [node for node in manifest["nodes"].values() if node["resource_type"] == "model" and node["name"] == name]
    return {f"v{node['version']}": asset_key(node) for node in sorted(nodes, key=lambda node: int(node["version"]))}
