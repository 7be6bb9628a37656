"""``loanlake stream``: Kafka topics into the lake and the online store."""

import signal
from typing import TYPE_CHECKING

import click

from warehouse.errors import SettingError
from warehouse.settings import Settings

if TYPE_CHECKING:
    from warehouse.sources.ingest import IngestResult


@click.command()
@click.argument("source", required=False)
@click.option("--entity", help="Read the topic of this entity alone.")
@click.option("--once", is_flag=True, help="Load what the topics have by now, and end.")
@click.option("--raw-only", is_flag=True, help="Load raw rows, and leave the online store to other runs.")
def stream(*, source: str | None, entity: str | None, once: bool, raw_only: bool) -> None:
    """Load messages of Kafka topics as they come.

    Those of SOURCE, or of all lenders. The lender's file declares them under `connections` and `streams` (see
    docs/streams.md). Messages become landing files of small batches, which are loaded as any other file is; rows and
    offsets are one transaction of the lake, so that each message counts once. A message that cannot be a row goes to
    raw.rejected_lines. After each load dbt builds what the online store reads, and the store is refreshed. `loanlake
    up` runs this command if a lender declares streams. Needs the extra `loanlake[kafka]`.

    Exit code 0: interrupted, or with --once all was loaded. 1: with --once, a topic could not be read to its end.

    \b
        loanlake stream
        loanlake stream mybank --entity applications --once
    """
    from warehouse.sources.streaming.streams import declared_streams, drain, follow

    settings = Settings.from_environment()
    if entity is not None and source is None:
        raise click.UsageError("--entity is one of a lender: name SOURCE too")
    found = declared_streams(settings, source, entity)
    if not found:
        raise SettingError("a lender's file must declare `streams`: found none in any; docs/streams.md shows how")
    from orchestration.services.online_refresh import OnlineRefresh

    online = OnlineRefresh(settings, click.echo)
    if once:
        loaded: list[IngestResult] = []
        try:
            drain(found, click.echo, lambda result: loaded.append(_shown(result)))
        finally:
            if loaded and not raw_only:
                online.refresh()
                click.echo("online store refreshed")
        return
    ended: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: ended.append(number))
    click.echo(f"reading {', '.join(f'{each.name} from {each.stream.address}' for each in found)}")
    if raw_only:
        follow(found, click.echo, _shown, is_over=lambda: bool(ended))
        return

    def report(result: "IngestResult") -> None:
        _shown(result)
        online.ask()

    online.start()
    online.ask()  # for rows of a process that was killed before it refreshed
    follow(found, click.echo, report, is_over=lambda: bool(ended), unserved_seconds=online.unserved_seconds)


def _shown(result: "IngestResult") -> "IngestResult":
    aside = f", {result.n_rejected:,} set aside: {'; '.join(result.reasons)}" if result.n_rejected else ""
    click.echo(f"{result.source} {result.entity}: {result.n_rows:,} messages loaded{aside}, {result.seconds:.1f} s")
    return result
