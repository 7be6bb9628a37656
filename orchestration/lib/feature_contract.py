"""The feature contract of the last build of the feature tables."""

from warehouse.errors import NotFoundError
from warehouse.features.contract import FeatureContract
from warehouse.settings import Settings


def feature_contract(settings: Settings, version: str = "") -> FeatureContract:
    """Read a version, such as ``v1`` (default: the latest), from dbt's manifest of that build.

    Raises NotFoundError before the first build, ContractError if the project has no such version.
    """
    manifest = settings.dbt_target / "manifest.json"
    if not manifest.exists():
        raise NotFoundError(f"no dbt manifest at {manifest}: build the feature tables with `loanlake run` first")
    return FeatureContract.from_manifest(manifest, version=version or None)
