"""What JSON Schema cannot say of valid data: times are in the past, and a decision is not before its history."""

from datetime import datetime, timedelta

import schemathesis
from hypothesis import strategies as st

from tests.serving_home import AS_OF

schemathesis.openapi.format(
    "date-time",
    st.datetimes(AS_OF + timedelta(days=1), datetime(2026, 1, 1)).map(lambda time: time.isoformat() + "Z"),
)
