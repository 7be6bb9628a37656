"""``loanlake erase-borrower``: a person's right to be forgotten."""

import getpass

import click

from warehouse.id_argument import IdArgument
from warehouse.settings import Settings


@click.command("erase-borrower")
@click.argument("borrower_id", type=IdArgument())
@click.option("--reason", required=True, help="Why, for the record of requests; kept as given, so name nobody.")
@click.option("--yes", is_flag=True, help="Do not ask before erasing.")
@click.option(
    "--now", is_flag=True, help="Expire earlier snapshots at once and delete their files; only while nobody reads."
)
def erase_borrower(*, borrower_id: str, reason: str, yes: bool, now: bool) -> None:
    """Erase BORROWER_ID from the lake, landing files, decision log, online store and models' references.

    LOANLAKE_ERASURE=delete (the default) removes every row of theirs; pseudonymise keeps the rows and puts in the place
    of each id a pseudonym that only the key in the home, or LOANLAKE_ERASURE_KEY, leads back to. It can't be undone.
    Models that learnt from them are listed: what those learnt stays until they are trained again. Lakes that
    people built for themselves are dropped. Snapshots from before
    go with the retention, or with --now. Where it is interrupted, the same command finishes it.

    \b
        loanlake erase-borrower lc-member-123 --reason "request of 3 March"
        loanlake erase-borrower lc-member-123 --reason "request of 3 March" --yes --now
    """
    from orchestration.erasure import erase_person

    if not reason.strip():
        raise click.UsageError("--reason must not be empty")
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
        click.echo(f"the dev lake of {name} is dropped, a copy from before: `dbt build` makes it again")
    if done.n_snapshots:
        click.echo(
            f"{done.n_snapshots:,} earlier snapshots of the lake stay readable for {settings.retention_days:g} days: "
            "`loanlake maintain` expires them then, the same command with --now does at once"
        )
