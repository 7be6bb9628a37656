"""``loanlake serve`` and ``loanlake key``."""

from datetime import UTC, datetime, timedelta

import click

from serving.access.keys import SCOPES, ApiKey, KeyStore
from serving.options import MOST_REQUESTS
from warehouse.cli import options
from warehouse.raw import is_name
from warehouse.settings import Settings

_DEFAULT_SCOPES = ("score",)


def _lender_names(_ctx: click.Context, _param: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not is_name(name):
            raise click.BadParameter(
                f"must be a lender's name, of small letters, digits and underscores: found {name!r}"
            )
    return names


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes to answer with.")
def serve(host: str, port: int, workers: int) -> None:
    """Answer scoring requests over HTTP.

    Serves the model that was last promoted, and follows a newer promotion while it runs. `loanlake key create NAME`
    makes a key. Pages: /, which leads to the others, /schema, /readyz, /metrics.
    """
    from serving.server import run

    run(Settings.from_environment(), host=host, port=port, workers=workers)


@click.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(list(SCOPES)),
    help=f"What the key may do; repeatable.  [default: {', '.join(_DEFAULT_SCOPES)}]",
)
@click.option("--expires-days", type=click.IntRange(1, 3650), help="Days until the key ends.")
@click.option(
    "--rate-limit",
    type=click.IntRange(1, MOST_REQUESTS),
    help="Requests a minute.  [default: LOANLAKE_RATE_LIMIT]",
)
@click.option(
    "--lender",
    "lenders",
    multiple=True,
    callback=_lender_names,
    help="Lender that it may reach; repeatable.  [default: all]",
)
def create_key(
    name: str, scopes: tuple[str, ...], expires_days: int | None, rate_limit: int | None, lenders: tuple[str, ...]
) -> None:
    """Create a key for the caller NAME and print it once.

    Only a hash of it is kept. The key alone goes to standard output:

    \b
        KEY=$(loanlake key create branch-office)
        KEY=$(loanlake key create card-desk --lender cards)
    """
    wanted = scopes or _DEFAULT_SCOPES
    text = _store().create(name, wanted, expires_after=_days(expires_days), rate_limit=rate_limit, lenders=lenders)
    bound = f", for {', '.join(lenders)}" if lenders else ""
    click.echo(f"Key for {name}, with {', '.join(wanted)}{bound}; it cannot be shown again:", err=True)
    click.echo(text)


@click.command()
@click.argument("key_id")
@click.option(
    "--overlap-hours",
    default=24.0,
    show_default=True,
    type=options.Number(0, 24 * 365),
    help="Hours that the old key works beside the new one.",
)
@click.option(
    "--expires-days",
    type=click.IntRange(1, 3650),
    help="Days until the new key ends.  [default: as long as the old one lasted]",
)
def rotate_key(key_id: str, overlap_hours: float, expires_days: int | None) -> None:
    """Replace the key KEY_ID by a new one, and print that once.

    The old key ends after the overlap. Both count as one caller: they share a rate limit, and an Idempotency-Key sent
    with one is known to the other.
    """
    overlap = timedelta(hours=overlap_hours)
    text = _store().rotate(key_id, overlap=overlap, expires_after=_days(expires_days))
    click.echo(f"Successor of {key_id}, which ends in {overlap_hours:g} hours; it cannot be shown again:", err=True)
    click.echo(text)


@click.command()
def list_keys() -> None:
    """Show id, state, scopes, times and limit of every key."""
    now = datetime.now(UTC)
    rows = [
        (
            found.key_id,
            found.name,
            found.state(now),
            ",".join(sorted(found.scopes)),
            "all" if found.lenders is None else ",".join(sorted(found.lenders)),
            f"{found.created_at:%Y-%m-%d %H:%M}",
            f"{found.expires_at:%Y-%m-%d %H:%M}" if found.expires_at else "never",
            _rate_limit(found),
            found.caller_id,
        )
        for found in _store().all()
    ]
    if not rows:
        click.echo("No keys yet: `loanlake key create NAME` creates one.", err=True)
        return
    table = [("key id", "name", "state", "scopes", "lenders", "created", "expires", "a minute", "caller"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@click.command()
@click.argument("key_id")
def revoke_key(key_id: str) -> None:
    """Revoke the key KEY_ID; a running server follows within a second."""
    revoked = _store().revoke(key_id)
    click.echo(f"Revoked {revoked.key_id} ({revoked.name}).")


@click.command()
@click.argument("key_id")
@click.argument("requests", metavar="REQUESTS|default")
def limit_key(key_id: str, requests: str) -> None:
    """Set the rate limit of the caller of the key KEY_ID.

    REQUESTS a minute, or `default`. A running server follows within a second.
    """
    limited = _store().set_rate_limit(key_id, None if requests == "default" else _whole_number(requests))
    click.echo(f"{limited.key_id} ({limited.name}): requests a minute: {_rate_limit(limited)}.")


def _store() -> KeyStore:
    return KeyStore.of(Settings.from_environment())


def _days(days: int | None) -> timedelta | None:
    return timedelta(days=days) if days else None


def _rate_limit(key: ApiKey) -> str:
    return "default" if key.rate_limit is None else str(key.rate_limit)


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise click.BadParameter(f"a whole number, or default: found {text!r}", param_hint="REQUESTS")
    return int(text)
