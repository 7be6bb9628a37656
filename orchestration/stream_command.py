"""``loanlake stream``: Kafka topics into the lake and the online store, and decisions to a topic."""

import signal
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from warehouse.errors import SettingError
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings

if TYPE_CHECKING:
    from orchestration.services.publishing import Publication
    from warehouse.sources.ingest import IngestResult
    from warehouse.sources.streaming.stream import Declared

_SECONDS_A_LOOK = 0.5


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

    Where a lender's file declares `decisions_to`, its decisions are published to that topic, each at least once, from
    the decision log: no request waits for it. Without --entity only.

    Exit code 0: interrupted, or with --once all was loaded and published. 1: with --once, a topic could not be read to
    its end or did not get all decisions.

    \b
        loanlake stream
        loanlake stream mybank --entity applications --once
    """
    settings = Settings.from_environment()
    if entity is not None and source is None:
        raise click.UsageError("--entity is one of a lender: name SOURCE too")
    streams, publications = _declared(settings, source, entity)
    if not streams and not publications:
        raise SettingError(
            "a lender's file must declare `streams` or `decisions_to`: found none in any; docs/streams.md shows how"
        )
    if once:
        _once(settings, streams, publications, raw_only=raw_only)
        return
    ended: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: ended.append(number))
    for each in streams:
        click.echo(f"reading {each.name} from {each.stream.address}")
    for publication in publications:
        click.echo(f"publishing {publication.name} to {publication.topic.address}")
    from orchestration.services.publishing import Publishing

    threads = [Publishing(publication, click.echo) for publication in publications]
    for thread in threads:
        thread.start()
    _follow(settings, streams, raw_only=raw_only, is_over=lambda: bool(ended))
    for thread in threads:
        thread.end()


def _declared(
    settings: Settings, source: str | None, entity: str | None
) -> "tuple[Sequence[Declared], Sequence[Publication]]":
    """What is read and what is published; raises SettingError for what is named and not declared."""
    from orchestration.services.publishing import declared_publications
    from warehouse.sources.streaming.streams import declared_streams

    publications = declared_publications(settings, source) if entity is None else []
    only_publishes = source is not None and bool(publications) and not read_lender(source).streams
    return [] if only_publishes else declared_streams(settings, source, entity), publications


def _once(
    settings: Settings, streams: "Sequence[Declared]", publications: "Sequence[Publication]", *, raw_only: bool
) -> None:
    from orchestration.services.online_refresh import OnlineRefresh
    from orchestration.services.publishing import publish_all
    from warehouse.sources.streaming.streams import drain

    loaded: list[IngestResult] = []
    try:
        drain(streams, click.echo, lambda result: loaded.append(_shown(result)))
    finally:
        if loaded and not raw_only:
            OnlineRefresh(settings, click.echo).refresh()
            click.echo("online store refreshed")
    publish_all(publications, click.echo)


def _follow(settings: Settings, streams: "Sequence[Declared]", *, raw_only: bool, is_over: Callable[[], bool]) -> None:
    from orchestration.services.online_refresh import OnlineRefresh
    from warehouse.sources.streaming.streams import follow

    if not streams:
        while not is_over():
            time.sleep(_SECONDS_A_LOOK)
        return
    if raw_only:
        follow(streams, click.echo, _shown, is_over=is_over)
        return
    online = OnlineRefresh(settings, click.echo)

    def report(result: "IngestResult") -> None:
        _shown(result)
        online.ask()

    online.start()
    online.ask()  # for rows of a process that was killed before it refreshed
    follow(streams, click.echo, report, is_over=is_over, unserved_seconds=online.unserved_seconds)


def _shown(result: "IngestResult") -> "IngestResult":
    aside = f", {result.n_rejected:,} set aside: {'; '.join(result.reasons)}" if result.n_rejected else ""
    click.echo(f"{result.source} {result.entity}: {result.n_rows:,} messages loaded{aside}, {result.seconds:.1f} s")
    return result
