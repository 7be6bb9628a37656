"""How far the streams of this home are behind their Kafka topics, as the process that reads them says."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from warehouse.settings import Settings
from warehouse.sources.streaming.lag import known_lags


def told(settings: Settings) -> Iterator[Metric]:
    """The gauges of each stream; none where the home never had one."""
    labels = ["lender", "entity"]
    messages = GaugeMetricFamily("loanlake_stream_waiting_messages", "Messages that are not loaded yet", labels=labels)
    lag = GaugeMetricFamily(
        "loanlake_stream_lag_seconds", "Age of the oldest message that is not loaded", labels=labels
    )
    unserved = GaugeMetricFamily(
        "loanlake_stream_unserved_seconds", "Time since the online store lacks rows that were loaded", labels=labels
    )
    failing = GaugeMetricFamily("loanlake_stream_failing", "Whether it cannot be read: 1 or 0", labels=labels)
    reported = GaugeMetricFamily(
        "loanlake_stream_reported_timestamp_seconds", "When its process last said so", labels=labels
    )
    for found in known_lags(settings):
        stream = [found.source, found.entity]
        messages.add_metric(stream, found.messages)
        lag.add_metric(stream, found.seconds)
        unserved.add_metric(stream, found.unserved_seconds)
        failing.add_metric(stream, bool(found.problem))
        reported.add_metric(stream, found.at)
    yield from (messages, lag, unserved, failing, reported)
