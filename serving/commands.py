"""``loanlake serve`` and ``loanlake key``."""

import sys
from datetime import UTC, datetime, timedelta

import click

from serving.keys import SCOPES, KeyStore
from warehouse.settings import Settings

_DEFAULT_SCOPES = ("score", "decisions", "outcomes")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes to answer with.")
def serve(host: str, port: int, workers: int) -> None:
    """Answer scoring requests over HTTP, with the model that was last promoted.

    A newer promotion is picked up while it runs. Keys: `loanlake key create NAME`. Pages: /schema, /readyz, /metrics.
    """
    from serving.server import run

    run(Settings.from_environment(), host=host, port=port, workers=workers)


@click.group()
def key() -> None:
    """Create, list and revoke the keys that HTTP callers show."""


@key.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(list(SCOPES)),
    help=f"What the key may do; repeat for more. Default: {', '.join(_DEFAULT_SCOPES)}.",
)
@click.option("--expires-days", type=click.IntRange(1, 3650), help="Stop the key after so many days.")
def create(name: str, scopes: tuple[str, ...], expires_days: int | None) -> None:
    """Make a key for the caller NAME and print it, this once: only a hash of it is kept.

    The key alone goes to standard output: KEY=$(loanlake key create branch-office)
    """
    wanted = scopes or _DEFAULT_SCOPES
    expires_after = timedelta(days=expires_days) if expires_days else None
    text = KeyStore(Settings.from_environment().keys).create(name, wanted, expires_after=expires_after)
    click.echo(f"Key for {name}, with {', '.join(wanted)}; it cannot be shown again:", err=True)
    click.echo(text)


@key.command("list")
def list_keys() -> None:
    """Show every key ever made: its id, state, scopes and times, never the key itself."""
    now = datetime.now(UTC)
    rows = [
        (
            found.key_id,
            found.name,
            found.state(now),
            ",".join(sorted(found.scopes)),
            f"{found.created_at:%Y-%m-%d %H:%M}",
            f"{found.expires_at:%Y-%m-%d %H:%M}" if found.expires_at else "never",
        )
        for found in KeyStore(Settings.from_environment().keys).all()
    ]
    if not rows:
        click.echo("No keys yet: `loanlake key create NAME` makes one.", err=True)
        sys.exit(0)
    table = [("key id", "name", "state", "scopes", "created", "expires"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@key.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """End the key KEY_ID for good; a running server refuses it within a second."""
    revoked = KeyStore(Settings.from_environment().keys).revoke(key_id)
    click.echo(f"Revoked {revoked.key_id} ({revoked.name}).")
