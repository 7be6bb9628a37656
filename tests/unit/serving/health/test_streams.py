"""The gauges of streams, from the files that their process writes."""

from serving.health.streams import told
from warehouse.settings import Settings
from warehouse.sources.streaming.lag import StreamLag, lag_file, write_lag


def test_each_stream_has_its_lag_and_a_damaged_file_hides_no_other(home: Settings) -> None:
    write_lag(home, StreamLag("bank", "loans", at=1000.0, messages=7, seconds=90.0, problem="no server answers"))
    lag_file(home, "bank", "cards").write_text("{")

    found = {family.name: [(sample.labels, sample.value) for sample in family.samples] for family in told(home)}

    stream = {"lender": "bank", "entity": "loans"}
    assert found == {
        "loanlake_stream_waiting_messages": [(stream, 7)],
        "loanlake_stream_lag_seconds": [(stream, 90)],
        "loanlake_stream_unserved_seconds": [(stream, 0)],
        "loanlake_stream_failing": [(stream, 1)],
        "loanlake_stream_reported_timestamp_seconds": [(stream, 1000)],
    }
