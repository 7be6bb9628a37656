"""``loanlake serve`` and ``loanlake key``."""

import sys
from datetime import UTC, datetime, timedelta

import click

from serving.access.keys import SCOPES, ApiKey, KeyStore
from serving.options import MOST_REQUESTS
from warehouse.settings import Settings

_DEFAULT_SCOPES = ("score",)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes to answer with.")
def serve(host: str, port: int, workers: int) -> None:
    """Answer scoring requests over HTTP, with the model that was last promoted.

    A newer promotion is picked up while it runs. Keys: `loanlake key create NAME`.
    Pages: /, /schema, /readyz, /metrics.
    """
    from serving.server import run

    run(Settings.from_environment(), host=host, port=port, workers=workers)


@click.group()
def key() -> None:
    """Create, list, rotate, limit and revoke the keys that HTTP callers show."""


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
@click.option(
    "--rate-limit",
    type=click.IntRange(1, MOST_REQUESTS),
    help="Requests a minute, above or below the server's default (LOANLAKE_RATE_LIMIT).",
)
def create(name: str, scopes: tuple[str, ...], expires_days: int | None, rate_limit: int | None) -> None:
    """Make a key for the caller NAME and print it, this once: only a hash of it is kept.

    The key alone goes to standard output:

    \b
        KEY=$(loanlake key create branch-office)
    """
    wanted = scopes or _DEFAULT_SCOPES
    text = _store().create(name, wanted, expires_after=_days(expires_days), rate_limit=rate_limit)
    click.echo(f"Key for {name}, with {', '.join(wanted)}; it cannot be shown again:", err=True)
    click.echo(text)


@key.command()
@click.argument("key_id")
@click.option(
    "--overlap-hours",
    default=24.0,
    show_default=True,
    type=click.FloatRange(0, 24 * 365),
    help="How long the old key works beside the new one.",
)
@click.option(
    "--expires-days",
    type=click.IntRange(1, 3650),
    help="Stop the new key after so many days. Default: as long as the old one was made to last.",
)
def rotate(key_id: str, overlap_hours: float, expires_days: int | None) -> None:
    """Make the successor of the key KEY_ID and print it, this once; the old one ends after the overlap.

    Both count as one caller: they share a rate limit, and an Idempotency-Key sent with one is known to the other.
    """
    overlap = timedelta(hours=overlap_hours)
    text = _store().rotate(key_id, overlap=overlap, expires_after=_days(expires_days))
    click.echo(f"Successor of {key_id}, which ends in {overlap_hours:g} hours; it cannot be shown again:", err=True)
    click.echo(text)


@key.command("list")
def list_keys() -> None:
    """Show every key ever made: its id, state, scopes, times, limit and caller, never the key itself."""
    now = datetime.now(UTC)
    rows = [
        (
            found.key_id,
            found.name,
            found.state(now),
            ",".join(sorted(found.scopes)),
            f"{found.created_at:%Y-%m-%d %H:%M}",
            f"{found.expires_at:%Y-%m-%d %H:%M}" if found.expires_at else "never",
            _rate_limit(found),
            found.caller_id,
        )
        for found in _store().all()
    ]
    if not rows:
        click.echo("No keys yet: `loanlake key create NAME` creates one.", err=True)
        sys.exit(0)
    table = [("key id", "name", "state", "scopes", "created", "expires", "a minute", "caller"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@key.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """End the key KEY_ID for good; a running server refuses it within a second."""
    revoked = _store().revoke(key_id)
    click.echo(f"Revoked {revoked.key_id} ({revoked.name}).")


@key.command()
@click.argument("key_id")
@click.argument("requests", metavar="REQUESTS|default")
def limit(key_id: str, requests: str) -> None:
    """Let the caller of the key KEY_ID send REQUESTS a minute; a running server follows within a second."""
    limited = _store().set_rate_limit(key_id, None if requests == "default" else _whole_number(requests))
    click.echo(f"{limited.key_id} ({limited.name}): requests a minute: {_rate_limit(limited)}.")


def _store() -> KeyStore:
    return KeyStore(Settings.from_environment().keys)


def _days(days: int | None) -> timedelta | None:
    return timedelta(days=days) if days else None


def _rate_limit(key: ApiKey) -> str:
    return "default" if key.rate_limit is None else str(key.rate_limit)


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise click.BadParameter(f"a whole number, or default: found {text!r}", param_hint="REQUESTS")
    return int(text)
