"""What stops a lender's model and what spoils one, from hand-made evidence."""

from dataclasses import replace
from datetime import datetime

import pytest

from ml.judging.gate import GateLimits
from ml.judging.leakage import FeatureSignal
from ml.lender_check.evidence import Alert, LenderEvidence, PersonalColumn, Reject, SplitSize
from ml.lender_check.findings import findings
from ml.lender_check.newest_months import Ahead, Apart, Month, Tail
from ml.lender_check.report import report
from ml.training.label_life import NoLife
from warehouse.sources.rows_set_aside import Loss

DAY = datetime(2024, 1, 1)
SOUND = LenderEvidence(
    source="mybank",
    months=(Month("2024-01", 5000, 4900, 4800, 500),),
    splits=tuple(SplitSize(split, 1000, 100, DAY, DAY) for split in ("train", "tune", "test")),
    split_reason="tune begins in 2024-03; test begins in 2024-05",
    signals=(FeatureSignal("annual_rate", 0.66, 0.5, 0.0), FeatureSignal("loan_amount", 0.5, 0.5, 0.0)),
)


def _texts(evidence: LenderEvidence, level: str = "stops", limits: GateLimits | None = None) -> list[str]:
    return [each.text for each in findings(evidence, limits or GateLimits()) if each.level == level]


def test_a_sound_lender_has_no_findings() -> None:
    assert findings(SOUND, GateLimits()) == ()
    assert report(SOUND, ()).endswith("Nothing that was checked would stop a model")


def test_a_file_that_lost_too_many_rows_stops_a_model() -> None:
    loss = Loss("mybank", "loans", 100, 40, ("amount must be a number (40)",), 0.2, ("loans.csv",))

    (text,) = _texts(replace(SOUND, losses=[loss]))

    assert "40 of 100 rows set aside (40 %): amount must be a number (40). More than 20 % of loans.csv" in text


def test_no_mature_label_stops_a_model_and_hides_what_follows_from_it() -> None:
    evidence = replace(SOUND, months=(Month("2024-01", 50, 7, 0, 0),), splits=(), signals=())

    assert _texts(evidence) == ["no loan has a mature label; 7 have an outcome"]


def test_loans_that_can_never_have_a_label_are_named_with_the_key_to_set() -> None:
    unlabelled = replace(SOUND, months=(Month("2024-01", 50, 7, 0, 0),), no_life=NoLife("mybank", 50, 50))

    [finding] = findings(unlabelled, GateLimits())

    assert (finding.level, finding.about) == ("stops", "labels")
    assert "label: {window_months: 12}` in warehouse/lenders/mybank.yml" in finding.remedy
    [warning] = findings(replace(SOUND, no_life=NoLife("mybank", 7, 50)), GateLimits())
    assert warning.level == "warns"


def test_each_part_needs_both_outcomes() -> None:
    splits = (SplitSize("train", 1000, 0, DAY, DAY), SplitSize("test", 1000, 100, DAY, DAY))

    assert _texts(replace(SOUND, splits=splits)) == [
        "train must have defaults and good loans: found 1,000 loans, 0 of them defaults",
        "tune must have defaults and good loans: found 0 loans, 0 of them defaults",
    ]


def test_the_gate_of_sizes_is_foreseen_with_the_lenders_limits() -> None:
    small = replace(SOUND, splits=(*SOUND.splits[:2], SplitSize("test", 400, 60, DAY, DAY)))

    (text,) = _texts(small)

    assert "gate test_has_enough_loans would refuse: required at least 500 test loans" in text
    assert _texts(small, limits=GateLimits(values={"min_test_rows": 300})) == []


def test_a_random_split_is_told_what_acts_on_it() -> None:
    splits = (SplitSize("train", 1416, 200, DAY, DAY), SplitSize("test", 292, 60, DAY, DAY))
    small = replace(SOUND, splits=(*splits, SplitSize("tune", 292, 60, DAY, DAY)), is_split_by_time=False)

    [finding] = findings(small, GateLimits())

    assert "ingest 3,425 loans with labels (found 2,000)" in finding.remedy
    assert "months" not in finding.remedy


def test_the_gate_of_leaks_is_foreseen_except_for_features_stated_to_be_honest() -> None:
    leak = replace(SOUND, signals=(FeatureSignal("balance", 0.93, 0.5, 0.0),))

    (text,) = _texts(leak)

    assert text == "gate no_feature_knows_the_outcome would refuse: balance alone has AUC 0.930"
    assert _texts(leak, limits=GateLimits(honest_features={"balance": "of the day before"})) == []


def test_settings_that_the_last_build_did_not_have_are_named() -> None:
    evidence = replace(SOUND, changed=("label.window_months (built with null, now 12)",))

    [finding] = findings(evidence, GateLimits())

    assert finding.text.endswith("has changed since: label.window_months (built with null, now 12)")
    assert "dbt build --target prod" in finding.remedy


def test_decisions_apart_from_all_others_are_named_with_their_lines() -> None:
    tail = Apart(Tail("2022-12", "2026-10", "2026-10", 1, 2000), ("mybank-7 (loans.csv:8)",))

    [text] = _texts(replace(SOUND, apart=tail), "warns")

    assert text.startswith("1 of 2,000 loans are decided in 2026-10, months after all others, which end in 2022-12; ")
    assert text.endswith("may count as repaid: mybank-7 (loans.csv:8)")


def test_a_clock_ahead_of_all_others_is_named_unless_the_decisions_say_it() -> None:
    decisions = Apart(Tail("2022-12", "2026-10", "2026-10", 1, 2000), ("mybank-7",))
    known = Apart(Tail("2022-12", "2026-10", "2026-10", 1, 5000), ("mybank-7",))

    assert len(_texts(replace(SOUND, apart=decisions, clock_apart=known), "warns")) == 1
    [text] = _texts(replace(SOUND, clock_apart=known), "warns")
    assert text.startswith("1 of 5,000 rows became known in 2026-10 (known_at), months after all others")


def test_rows_known_after_their_files_were_loaded_stop_a_model() -> None:
    ahead = Ahead(3, datetime(2031, 5, 2), datetime(2024, 1, 2), ("mybank-7",))

    [text] = _texts(replace(SOUND, ahead=ahead))

    assert "found 3 rows, up to 2031-05-02, though the last file or report was received on 2024-01-02" in text


@pytest.mark.parametrize("kind", ["actual_terms", "outcome_dates"])
def test_alerts_of_the_build_about_the_data_are_shown(kind: str) -> None:
    assert _texts(replace(SOUND, alerts=(Alert(kind, "something is odd"),)), "warns") == ["something is odd"]


def test_personal_columns_are_declared_and_not_read() -> None:
    columns = (
        PersonalColumn("mybank_loans", "email", "an e-mail address", is_declared=False, is_read=False),
        PersonalColumn("mybank_loans", "street", "an address", is_declared=False, is_read=True),
        PersonalColumn("mybank_loans", "phone", "a phone number", is_declared=True, is_read=False),
    )

    assert _texts(replace(SOUND, personal=columns), "warns") == [
        "raw.mybank_loans.email looks like an e-mail address, and is not declared",
        "raw.mybank_loans.street looks like an address, and staging reads it",
    ]


def test_months_before_the_last_two_years_are_one_line() -> None:
    months = tuple(Month(f"{2020 + n // 12}-{n % 12 + 1:02}", 10, 9, 8, 1) for n in range(26))

    text = report(replace(SOUND, months=months), ())

    assert "  to 2020-02        20        18        16         2\n  2020-03           10" in text


def test_a_lender_without_dates_has_no_months() -> None:
    text = report(replace(SOUND, is_dated=False), ())

    assert "  all            5,000     4,900     4,800       500" in text
    assert "2024" not in text.replace(SOUND.split_reason, "")


def test_the_report_shows_rejects_months_splits_and_the_strongest_features() -> None:
    reject = Reject("loans", "amount", "must be a number", 1, "a lot", ("loans.csv:6",))

    text = report(replace(SOUND, rejects=(reject,)), ())

    assert "          1  loans amount: must be a number (a lot); loans.csv:6" in text
    assert "  2024-01        5,000     4,900     4,800       500" in text
    assert "Splits: tune begins in 2024-03; test begins in 2024-05" in text
    assert "  train      1,000 loans,     100 defaults, decided 2024-01-01 to 2024-01-01" in text
    assert "  0.660  annual_rate" in text
    assert "loan_amount" not in text
