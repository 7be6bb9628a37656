"""The feature contract that the feature tables were last built by."""

from warehouse.contract import FeatureContract
from warehouse.errors import NotFoundError
from warehouse.settings import Settings


def feature_contract(settings: Settings) -> FeatureContract:
    """Read it from dbt's manifest of that build; raises NotFoundError before the first."""
    manifest = settings.dbt_target / "manifest.json"
    if not manifest.exists():
        raise NotFoundError(f"no dbt manifest at {manifest}: build the feature tables with `loanlake run` first")
    return FeatureContract.from_manifest(manifest)
