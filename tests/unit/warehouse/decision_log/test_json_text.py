"""The same text, whether values come by name or in the order of names that are known before."""

from datetime import date, datetime

from hypothesis import given
from hypothesis import strategies as st

from warehouse.decision_log.json_text import RowText, dump_values

NAMES = ("amount", "share", "größe", "class", "decided_at")
VALUES = st.one_of(
    st.none(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(2**62), 2**62),
    st.booleans(),
    st.sampled_from(["car", ":null", 'say "null"', "é"]),
    st.just(datetime(2024, 5, 6, 7, 8, 9)),
    st.just(date(2001, 2, 3)),
)


@given(values=st.tuples(*[VALUES] * len(NAMES)))
def test_values_in_order_are_written_as_values_by_name(values):
    write = RowText(NAMES)

    text = write(values)

    assert text == dump_values(dict(zip(NAMES, values, strict=True)))
