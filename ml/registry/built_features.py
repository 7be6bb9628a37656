"""Whether the features that a model needs are still built: checked before it is promoted or tried."""

from ml.bundle.bundle import Bundle
from ml.registry.registered_version import RegisteredVersion, load_registered
from warehouse.errors import ContractError
from warehouse.features.contract import FEATURES_MODEL, TRAINING_MODEL, contract_versions
from warehouse.settings import Settings


def load_built(settings: Settings, version: RegisteredVersion) -> Bundle:
    """The bundle of a registered version, as :func:`ml.registry.registered_version.load_registered` reads it.

    Raises ContractError if the feature tables' last build left out the features it needs: nothing would compare it
    with the next candidate, or score a batch with it. A home that only serves has no build and is not checked.
    """
    bundle, manifest = load_registered(settings, version.name, version.version), settings.dbt_target / "manifest.json"
    existing = contract_versions(manifest) if manifest.exists() else (bundle.feature_version,)
    if bundle.feature_version not in existing:
        raise ContractError(
            f"{version.name} version {version.version} needs {FEATURES_MODEL} {bundle.feature_version}, which the dbt "
            f"project no longer has (it has {', '.join(existing)}): bring "
            f"{FEATURES_MODEL}_{bundle.feature_version}.sql and its lines "
            f"under `versions:` in {FEATURES_MODEL}.yml and {TRAINING_MODEL}.yml back and run "
            "`loanlake run`, or promote a model of another version"
        )
    return bundle
