"""What JSON Schema cannot say of valid data: times are past and since 1900, a decision is not before its history."""

from datetime import date, datetime, timedelta

import schemathesis
from hypothesis import strategies as st

from tests.serving_home import AS_OF

schemathesis.openapi.format(
    "date-time",
    st.datetimes(AS_OF + timedelta(days=1), datetime(2026, 1, 1)).map(lambda time: time.isoformat() + "Z"),
)
schemathesis.openapi.format("date", st.dates(date(1900, 1, 1), date(2025, 12, 31)).map(date.isoformat))
