"""A version of a source's model as MLflow's registry tells of it, and the copy of the registry that the API reads.

Importing MLflow takes 9 s, so the API never asks it: whoever changes the registry leaves a copy in the home. What is
put in service is decided on the registry itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from ml.deployment import replace_file
from warehouse.settings import Settings


@dataclass(frozen=True)
class RegisteredVersion:
    """A version of a source's model; ``refused_by`` names the gates that refused it, ``gate_messages`` says why.

    ``lake_snapshot`` holds its training set; ``archived``: it is not needed any more, so the snapshot may expire.
    """

    source: str
    name: str
    version: int
    feature_version: str
    run_id: str
    fingerprint: str
    bundle_digest: str
    passed_gates: tuple[str, ...]
    refused_by: tuple[str, ...]
    gate_messages: tuple[str, ...]
    aliases: tuple[str, ...]
    lake_snapshot: int
    created_at: datetime
    archived: bool

    @property
    def passed(self) -> bool:
        """Whether no gate refused it."""
        return not self.refused_by


def copy_versions(settings: Settings, source: str, versions: Sequence[RegisteredVersion]) -> None:
    """Leave a copy of all versions of a source's model in the home, but for aliases, which follow the deployment."""
    copied = [replace(version, aliases=()) for version in versions]
    text = msgspec.json.format(msgspec.json.encode(copied), indent=1).decode()
    replace_file(settings.versions / f"{source}.json", text + "\n")


def read_versions(settings: Settings) -> list[RegisteredVersion]:
    """The copied versions of every source's model, each source's oldest first; none before a registration."""
    return [
        version
        for path in sorted(settings.versions.glob("*.json"))
        for version in msgspec.json.decode(path.read_bytes(), type=list[RegisteredVersion])
    ]
