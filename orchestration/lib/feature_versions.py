"""The feature versions of the dbt project: for each, a table of features and a table of training rows.

A version that a lender extends with columns of its own has tables too, with the rows of that lender.
"""

from functools import cache

import dagster as dg
import msgspec

from ml.registry.deployment import Deployment
from orchestration.lib.champions import challenger_of, champion_of
from orchestration.lib.dbt_project import asset_key, prepared_manifest
from warehouse.errors import NotFoundError, RunRefused
from warehouse.features.contract import FeatureContract
from warehouse.features.manifest import load, models_of, newest_version, versions_of
from warehouse.lake.feature_tables import FEATURES_MODEL, ONLINE_MODEL, TRAINING_MODEL, FeatureVersion
from warehouse.lenders.rules import lenders_of_project, read_lender
from warehouse.settings import Settings


def feature_tables() -> dict[str, dg.AssetKey]:
    """Every version's feature table, such as ``v1`` → ``features/ftr_application_v1``.

    Oldest first; the versions that lenders extend come last.
    """
    return {str(version): dg.AssetKey(version.features_table.split(".")) for version in _versions()}


def training_tables() -> dict[str, dg.AssetKey]:
    """Every version's training table, such as ``v1`` → ``training/trn_default_v1``, in the same order."""
    return {str(version): dg.AssetKey(version.training_table.split(".")) for version in _versions()}


def online_tables() -> list[dg.AssetKey]:
    """The tables that the online store mirrors; a lender's own history is in one of its own."""
    mirrored = (ONLINE_MODEL, "ftr_online_cohorts")
    models = models_of(load(prepared_manifest(Settings.from_environment())))
    return [asset_key(node) for node in models if node["name"].startswith(mirrored)]


def feature_contract(settings: Settings, version: str = "", *, source: str = "") -> FeatureContract:
    """Read a version, such as ``v1``, from dbt's manifest of that build.

    ``source``: with this lender's reason texts and limits; its default version is its newest extended one, or the
    latest of all. Without a source: as tables of all their lenders have it.

    Raises NotFoundError before the first build, ContractError if the project or the lender has no such version.
    """
    manifest = settings.dbt_target / "manifest.json"
    if not manifest.exists():
        raise NotFoundError(f"no dbt manifest at {manifest}: build the feature tables with `loanlake run` first")
    loaded = load(manifest)
    contract = FeatureContract.from_manifest(loaded, version=version or str(newest_version(loaded, source)))
    if source:
        return contract.of_lender(read_lender(source))
    lenders = [contract.tables.lender] if contract.tables.lender else lenders_of_project()
    return contract.admitting(map(read_lender, lenders))


def require_versions(settings: Settings, source: str, wanted: str = "") -> None:
    """Raise RunRefused if the source has no version ``wanted`` (``2``, ``v2``, ``v2_mybank``), or a served one is gone.

    A champion scores, and is compared with candidates, on its version's table; a challenger's drift uses its own. dbt
    leaves a table that it no longer builds unchanged, without notice.
    """
    existing = [str(version) for version in _versions() if version.lender in ("", source)]
    if wanted and str(FeatureVersion.parse(wanted)) not in existing:
        raise RunRefused(
            f"{source} cannot be trained on features {wanted}: the dbt project has {', '.join(existing)} for it; name "
            "one of them"
        )
    champion, challenger = champion_of(settings, source), challenger_of(settings, source)
    if champion is not None:
        _require_built(
            settings, champion, "in service", "serve a model of another version with `loanlake model promote`"
        )
    if challenger is not None:
        _require_built(settings, challenger.deployment, "on trial", "end the trial with `loanlake challenge end`")


def _require_built(settings: Settings, deployment: Deployment, state: str, way_out: str) -> None:
    existing, version = feature_tables(), deployment.feature_version
    contract = deployment.bundle_directory(settings) / "contract.json"
    if version in existing and contract.exists():
        needed = FeatureContract.from_dict(msgspec.json.decode(contract.read_bytes()))
        if gone := needed.gone_from(prepared_manifest(settings)):
            raise RunRefused(
                f"{deployment.model_name} version {deployment.model_version} is {state} and needs {', '.join(gone)}, "
                f"which features {version} of the dbt project no longer have: bring their lines back, or {way_out}"
            )
    if version not in existing:
        raise RunRefused(
            f"{deployment.model_name} version {deployment.model_version} is {state} and needs {FEATURES_MODEL} "
            f"{version}, which the dbt project no longer has (it has {', '.join(existing)}): bring "
            f"{FEATURES_MODEL}_{version}.sql, {TRAINING_MODEL}_{version}.sql and their entries in YAML back, "
            f"or {way_out} and then delete it"
        )


@cache
def _versions() -> tuple[FeatureVersion, ...]:
    return versions_of(prepared_manifest(Settings.from_environment()))
