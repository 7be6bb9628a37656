"""Log lines: what outsiders can cause is bounded."""

import logging

from serving.telemetry.logs import FewLines


def test_lines_of_one_text_are_few_in_a_minute_and_the_rest_counted() -> None:
    now = 0.0
    few = FewLines(most=2, seconds=60.0, clock=lambda: now)

    first = [few.filter(_line("Invalid HTTP request received.")) for _ in range(5)]
    other = few.filter(_line("Started server process"))
    now = 61.0
    next_minute = _line("Invalid HTTP request received.")

    assert first == [True, True, False, False, False]
    assert other
    assert few.filter(next_minute)
    assert vars(next_minute)["left_out_before"] == 3


def test_the_lines_of_the_service_itself_are_all_written() -> None:
    few = FewLines(most=1)

    assert [few.filter(_line("commit failed", "loanlake.serving")) for _ in range(3)] == [True] * 3


def _line(text: str, name: str = "uvicorn.error") -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, __file__, 1, text, (), None)
