"""``loanlake person export`` and ``erase``: a person's rights to their data."""

import getpass
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warehouse.cli import options
from warehouse.settings import Settings
from warehouse.team.machines import machines
from warehouse.values.id_argument import IdArgument

if TYPE_CHECKING:
    from orchestration.people.erasure import Erased


@click.command()
@click.argument("borrower_id", type=IdArgument())
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead of printing.")
def export(*, borrower_id: str, to: Path | None) -> None:
    """Print all that is held of BORROWER_ID, as JSON.

    All tables of the lake as they stand (raw rows with their file and line), the API's decision log, the online store,
    and the models that learnt from them. The request is recorded in serving.person_requests, without the person.
    """
    from orchestration.people.export import export_person

    found = export_person(Settings.from_environment(), borrower_id, by=getpass.getuser())
    text = json.dumps(found, indent=1, ensure_ascii=False)
    if to is None:
        click.echo(text)
        return
    # readable only by its owner from the first byte, even if the file existed
    with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text + "\n")
    n_rows = sum(len(rows) for rows in found["lake"].values())
    click.echo(f"wrote {n_rows:,} rows of {len(found['lake'])} tables to {to}")


@click.command()
@click.argument("borrower_id", type=IdArgument())
@options.reason
@click.option("--yes", is_flag=True, help="Do not ask before erasing.")
@click.option(
    "--now",
    is_flag=True,
    help="Expire earlier snapshots immediately and delete their files; only while no process reads.",
)
def erase(*, borrower_id: str, reason: str, yes: bool, now: bool) -> None:
    """Erase BORROWER_ID from the lake, files, logs and models.

    Erases from the lake, landing files, decision log, online store and models' references. LOANLAKE_ERASURE=delete (the
    default) removes their rows; pseudonymise keeps the rows and replaces each id by a pseudonym that only the key in
    the home, or LOANLAKE_ERASURE_KEY, leads back to. It cannot be undone. Models that learnt from them are listed: what
    those learnt stays until they are trained again. Lakes that analysts built are dropped. Earlier snapshots expire
    with the retention, or with --now. If it is interrupted, the same command finishes it. --reason is kept as given: do
    not name the person.

    \b
        loanlake person erase lc-member-123 --reason "request of 3 March"
        loanlake person erase lc-member-123 --reason "request of 3 March" --yes --now
    """
    from orchestration.people.erasure import erase_person

    settings = Settings.from_environment()
    if not yes:
        click.confirm(
            f"{settings.erasure} everything that {settings.home} holds of {borrower_id}? This can't be undone",
            abort=True,
        )
    done = erase_person(settings, borrower_id, reason=reason, by=getpass.getuser(), at_once=now)
    if done.erased_before is not None:
        click.echo(f"nothing is held of {borrower_id}: erased on {done.erased_before:%Y-%m-%d %H:%M} UTC")
    for place, n_rows in sorted(done.counts.items()):
        click.echo(f"  {place:<40} {n_rows:>8,}")
    if done.erased_before is None:
        click.echo("erased" if done.treatment == "delete" else "kept under pseudonyms")
    for model in done.models:
        click.echo(f"{model} learnt from them: train again for a model that did not")
    for name in done.dev_lakes:
        click.echo(f"the dev lake of {name} is dropped, as a copy from before: `dbt build` rebuilds it")
    for sentence in _not_erased(settings, done):
        click.echo(sentence)


def _not_erased(settings: Settings, done: "Erased") -> Iterator[str]:
    """What may still hold them, and what to do."""
    for path in done.never_loaded:
        yield f"{path} was landed and never loaded, and may hold them: load it and erase again, or delete it"
    for each in machines(settings):
        if each.is_silent or each.n_waiting:
            yield f"{each.sentence}; what is on that disk is not erased: erase again once it was handed over"
    if done.n_snapshots:
        yield (
            f"{done.n_snapshots:,} earlier snapshots of the lake stay readable for {settings.retention_days:g} days: "
            "`loanlake data maintain` expires them then, the same command with --now does immediately"
        )
