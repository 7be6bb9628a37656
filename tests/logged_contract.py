"""The part of a published bundle that says the types of a decision's features, for tests that need no model."""

import json
from collections.abc import Mapping

from warehouse.settings import Settings


def publish_contract(settings: Settings, model_name: str, model_version: int, features: Mapping[str, str]) -> None:
    """Write the contract of these features, name → type, where the model's bundle would be."""
    directory = settings.bundles / model_name / str(model_version)
    directory.mkdir(parents=True, exist_ok=True)
    columns = [{"name": name, "data_type": type_, "description": f"{name}."} for name, type_ in features.items()]
    (directory / "contract.json").write_text(json.dumps({"features": columns}))
