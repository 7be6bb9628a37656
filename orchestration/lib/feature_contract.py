"""The feature contract of the last build of the feature tables."""

from warehouse.errors import NotFoundError
from warehouse.features.contract import FeatureContract
from warehouse.lenders.rules import lenders_of_project, read_lender
from warehouse.settings import Settings


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
