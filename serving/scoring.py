"""One application in, one durable decision out: validate, look up, compute features, score, explain, log, answer."""

from datetime import timedelta

#: How far a caller's clock may run ahead of this one.
CLOCK_SKEW = timedelta(minutes=5)
#: Rows of a batch scored before other requests get a turn: 32 take a few milliseconds.
_ROWS_A_TURN = 32
