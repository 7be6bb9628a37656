"""Messages as lines of a landing file: what can be no row is kept beside the others, with its reason."""

from pathlib import Path

import pytest

from warehouse.readers.json_lines import Messages
from warehouse.readers.opening import open_table
from warehouse.sources.streaming.batch import MOST_BYTES, Batch, Received, why_no_row

ROW = b'{"loan_id": 1, "amount": 0.10}'


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "without a value"),
        (b"", "not one object of JSON"),
        (b"[1]", "not one object of JSON"),
        (ROW + b"}", "not one object of JSON"),
        (b'{"loan_id": 1, "name": "\\ud800"}', "not one object of JSON"),
        (b'{"loan_id": "\xff"}', "not UTF-8 text"),
        (b'{"loan_id": ' + b"[" * 2000 + b"]" * 2000 + b"}", "more than 100 objects within each other"),
        (b'{"amount": 1}', "no value of loan_id"),
        (b'{"loan_id": ""}', "no value of loan_id"),
        (b'{"loan_id": 1, "%": 2}', "keys that cannot be columns"),
        (b'{"loan_id": 1, "LOAN ID": 2}', "keys that cannot be columns"),
        (b'{"loan_id": "' + b"1" * MOST_BYTES + b'"}', "longer than 3,000,000 bytes"),
    ],
)
def test_a_message_that_can_be_no_row_has_a_reason(value: bytes | None, reason: str) -> None:
    assert reason in str(why_no_row(value, ["loan_id"]))


def test_a_file_of_messages_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Texts and numbers as they are written, keys as columns, and each message with its place in the topic."""
    batch = Batch(required=["loan_id"])
    values = [
        ROW,
        b"no",
        b'{"loan_id": "a\\nb",\r\n "Zins p.a.": {"x": "' + b"[" * 200 + b'"}}',
        b'{"loan_id": 1, "loan_id": 2}',
    ]
    for offset, value in enumerate(values, start=40):
        batch.add(Received(3, offset, 1_700_000_000_123, value), now=1.0)
    batch.add(Received(5, 7, None, ROW), now=2.0)
    batch.drop(5)
    path = tmp_path / "loans.jsonl"

    batch.write(path, "kafka core/loans", ["loan_id", "amount", "term"])
    found = open_table(path)
    (rows,) = found.batches(found.columns)

    assert isinstance(found, Messages)
    assert rows.to_pylist() == [
        {"loan_id": "1", "amount": "0.10", "term": None, "zins_p_a": None, "_line": 2},
        {"loan_id": "a\nb", "amount": None, "term": None, "zins_p_a": '{"x":"' + "[" * 200 + '"}', "_line": 4},
    ]
    assert [(line.line, line.value, line.reason) for line in found.rejected] == [
        (3, "no", "not one object of JSON"),
        (5, '{"loan_id": 1, "loan_id": 2}', "a key that stands twice"),
    ]
    assert found.positions().select(["line", "topic_partition", "topic_offset"]).to_pylist() == [
        {"line": line, "topic_partition": 3, "topic_offset": line + 38} for line in (2, 3, 4, 5)
    ]
    assert (batch.spans, batch.oldest_at, len(batch)) == ({3: (40, 44)}, 1_700_000_000_123, 4)
