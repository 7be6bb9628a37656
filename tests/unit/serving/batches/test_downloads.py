"""Results of a batch as CSV: a spreadsheet computes none of their texts, and each can be read back."""

import pytest

from serving.batches.downloads import _cell


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=x", "'=x"),
        ("'=x", "''=x"),
        ("''=x", "'''=x"),
        ("'x", "'x"),
        ("x", "x"),
        ("'", "'"),
        ("'\uff1dx", "''\uff1dx"),
    ],
)
def test_a_text_can_be_read_back_from_its_cell(text: str, cell: str) -> None:
    assert _cell(text) == cell
