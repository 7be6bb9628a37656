"""Findings: an error of a check is a finding, and a clock that is apart is a warning."""

from warehouse.doctor.finding import Finding, checked, clock


def test_an_error_becomes_a_finding_with_advice_and_without_its_password() -> None:
    def fails() -> Finding:
        raise OSError("cannot reach redis://:s3cret@cache:6379/0")

    found = checked("redis", fails, advice="Start it.")

    assert found is not None
    assert (found.verdict, found.advice) == ("failed", "Start it.")
    assert "redis://:***@cache:6379/0" in found.lines[0]


def test_clocks_may_differ_by_two_seconds() -> None:
    assert clock(1.9) == ("ok", "clock +1.9 s", "")
    assert clock(-2.1)[:2] == ("warning", "clock -2.1 s")
