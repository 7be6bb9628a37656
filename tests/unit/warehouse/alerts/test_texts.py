"""What commands, status and messages say of an alert."""

from datetime import date, datetime

from tests.unit.warehouse.alerts.shown_alerts import DRIFT, alert
from warehouse.alerts.texts import long_lines, short_lines, summary


def test_features_that_drifted_are_one_line() -> None:
    assert summary(DRIFT) == (
        "0123456789  open, low  bank: Features have drifted, 2 (purpose, term): term 0.9 (limit 0.2), "
        "since 2025-10 (3 months)"
    )


def test_an_alert_of_one_subject_names_it_once() -> None:
    found = alert(
        kind="performance", cause="auc", subjects="auc", n_subjects=1, value=0.6, threshold=0.66, n_months=1,
        first_month=date(2025, 12, 1), new_subjects="auc", source=None,
    )  # fmt: skip

    assert summary(found).endswith(
        "all lenders: The model ranks worse than in its test: 0.6 (limit 0.66), new in 2025-12"
    )


def test_only_open_alerts_are_shown_beside_other_things() -> None:
    known = alert("a", state="acknowledged")
    many = [alert(f"{n}") for n in range(25)]

    assert short_lines([]) == ["none"]
    assert short_lines([known]) == ["1 acknowledged: `loanlake alerts` says what to do"]
    assert len(lines := short_lines([*many, known])) == 12
    assert lines[0].startswith("25 open, 1 acknowledged")
    assert lines[-1] == "and 15 more open ones"


def test_the_list_says_what_is_new_what_to_do_and_who_knows() -> None:
    known = alert(
        acknowledged_by="ann", acknowledged_at=datetime(2025, 11, 2), acknowledged_because="campaign", severity="high"
    )

    lines = long_lines([known])

    assert "    new this month: term" in lines
    assert "    found: term has drifted" in lines
    assert any(line.startswith("    to do: Look at missing values first") for line in lines)
    assert lines[-1] == (
        "    acknowledged by ann on 2025-11-02: campaign; it is open again, because its severity became high"
    )
