"""Settings of backups."""

from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from warehouse.settings.variable import Variable


@dataclass(frozen=True)
class BackupOptions:
    """Where backups are, and how old the newest may be."""

    backup_target: Annotated[
        str | None,
        Variable(
            "Folder, or `s3://bucket/prefix`, of the backups: for commands that name none, the nightly schedule, and "
            "the list of erased persons.",
            otherwise="no backups unless a command names a target",
        ),
    ] = None
    backup_key: Annotated[
        str | None,
        Meta(min_length=32),
        Variable(
            "Key that encrypts backups. Without it they can never be read again: keep it outside the home.",
            secret=True,
            hint="a shorter key can be guessed; `openssl rand -hex 32` prints one",
            otherwise="backups are not encrypted",
        ),
    ] = field(default=None, repr=False)
    backup_keep: Annotated[
        int, Meta(ge=1), Variable("How many backups the nightly schedule keeps.", unit="backups")
    ] = 30
    backup_max_age_hours: Annotated[
        float, Meta(gt=0), Variable("Age of the newest backup above which `loanlake status` warns.", unit="hours")
    ] = 26.0
