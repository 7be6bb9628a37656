"""From files and answers to a lender, or to the questions that nothing in the files answers."""

import pytest

from tests.unit.warehouse.macros import macros
from tests.unit.warehouse.profiling.columns_of_text import profile_of
from warehouse.errors import SettingError
from warehouse.profiling.answers import Answers
from warehouse.profiling.profile import FileProfile
from warehouse.profiling.proposal import LenderProposal, propose

LOANS: dict[str, list[str | None]] = {
    "loan_id": ["1", "2", "3"],
    "issue_date": ["2020-01-31", "2020-02-01", "2020-03-05"],
    "amount": ["5000", "6000", "7000"],
    "term": ["36 months", "60 months", "36 months"],
    "status": ["paid", "charged off", "current"],
    "closed_on": ["2023-01-31", "2021-05-01", None],
}


def _loans(**columns: list[str | None]) -> FileProfile:
    return profile_of("loans", **{**LOANS, **columns})


def _proposed(*files: FileProfile, answers: Answers | None = None) -> LenderProposal:
    proposal, questions = propose("mybank", files, answers or Answers())
    assert questions == ()
    assert proposal is not None
    return proposal


def _flags(*files: FileProfile, answers: Answers | None = None) -> list[str]:
    return [question.flag for question in propose("mybank", files, answers or Answers())[1]]


def test_a_clear_file_needs_no_answer() -> None:
    file = _proposed(_loans()).applications

    assert {field.meaning: field.column for field in file.fields} == {
        "application_id": "loan_id",
        "decided_at": "issue_date",
        "requested_amount": "amount",
        "term_months": "term",
        "outcome": "status",
        "outcome_at": "closed_on",
    }
    assert file.key == ("loan_id",)


def test_a_day_that_may_be_a_month_is_asked_and_the_answer_is_the_pattern() -> None:
    file = _loans(issue_date=["03/04/2020", "05/06/2020", "07/08/2020"])

    proposal = _proposed(file, answers=Answers(read={"issue_date.pattern": "MM/DD/YYYY"}))

    assert _flags(file) == ["--read issue_date.pattern="]
    assert proposal.applications["decided_at"].reading["pattern"] == "MM/DD/YYYY"


@pytest.mark.parametrize(
    ("answer", "keys"),
    [
        ({"amount.thousands": "."}, {"decimal": ",", "thousands": "."}),
        ({"amount.decimal": ","}, {"decimal": ",", "thousands": "."}),
        ({"amount.thousands": "none"}, {}),
        ({"amount.decimal": "."}, {}),
    ],
)
def test_a_point_before_three_digits_is_asked_and_either_key_answers(
    answer: dict[str, str], keys: dict[str, str]
) -> None:
    """1.234 is a thousand euros in Berlin, and a bit more than one in London."""
    file = _loans(amount=["1.234", "12.345", "950"])

    _, questions = propose("mybank", [file], Answers())
    reading = _proposed(file, answers=Answers(read=answer)).applications["requested_amount"].reading

    assert [(each.flag, each.proposal) for each in questions] == [("--read amount.thousands=", None)]
    assert {key: value for key, value in reading.items() if key in ("decimal", "thousands")} == keys


def test_a_comma_before_three_digits_of_an_amount_is_proposed_as_thousands_and_noted() -> None:
    """1,234 euros of a German file would be a bit more than one; nothing in the file says which."""
    file = _loans(amount=["1,234", "12,345", "950"])

    _, questions = propose("mybank", [file], Answers())
    accepted = _proposed(file, answers=Answers(read={"amount.thousands": ","}))

    assert [(each.flag, each.proposal) for each in questions] == [("--read amount.thousands=", ",")]
    assert accepted.applications["requested_amount"].reading["thousands"] == ","
    assert accepted.notes == (
        "loans.amount: 1,234 is read with a separator of thousands, as 1234: every comma stands before three digits. "
        "If it is a decimal comma: --read amount.decimal=,",
    )
    assert _proposed(file, answers=Answers(read={"amount.decimal": ","})).notes == ()


@pytest.mark.parametrize("rates", [["1,234", "12,345", "9,500"], ["1.234", "12.345", "9.500"]])
def test_three_digits_after_the_separator_of_a_rate_are_asked_without_a_proposal(rates: list[str | None]) -> None:
    _, questions = propose("mybank", [_loans(rate=rates)], Answers())

    assert ("--read rate.thousands=", None) in [(each.flag, each.proposal) for each in questions]


def test_of_two_currencies_one_is_chosen_with_all_its_marks() -> None:
    """Euros and dollars as one number would be an amount of nothing."""
    file = _loans(amount=["€5000.50", "EUR 6000", "$7000"])

    (question,) = propose("mybank", [file], Answers())[1]
    reading = _proposed(file, answers=Answers(read={"amount.currency": "EUR"})).applications["requested_amount"].reading

    assert (question.flag, question.choices, question.proposal) == ("--read amount.currency=", ("$", "EUR"), None)
    assert reading["currency"] == ["EUR", "€"]


@pytest.mark.parametrize(
    ("texts", "pattern", "keys"),
    [
        (["03/04/20", "05/06/20", "07/08/20"], "MM/DD/YY", {"pattern", "pivot"}),
        (["03/04/20", "05/06/20", "07/08/20"], "DD/MM/YYYY", {"pattern"}),
    ],
)
def test_a_short_year_has_a_pivot_whoever_names_the_pattern(
    texts: list[str | None], pattern: str, keys: set[str]
) -> None:
    """dbt refuses YY without a pivot, and a pivot without YY."""
    answers = Answers(read={"issue_date.pattern": pattern})

    reading = _proposed(_loans(issue_date=texts), answers=answers).applications["decided_at"].reading

    assert reading.keys() & {"pattern", "pivot"} == keys


def test_an_optional_sign_needs_the_meaning_of_numbers_without_it() -> None:
    """dbt refuses the one without the other."""
    file = _loans(rate=["12.5", "9", "20"])

    assert _flags(file, answers=Answers(read={"rate.sign": "optional"})) == ["--read rate.unsigned="]


def test_a_rate_with_and_without_a_percent_sign_is_asked() -> None:
    file = _loans(rate=["12%", "0.12", "9%"])

    proposal = _proposed(file, answers=Answers(read={"rate.unsigned": "fraction"}))

    assert _flags(file) == ["--read rate.unsigned="]
    reading = proposal.applications["annual_rate"].reading
    assert (reading["sign"], reading["unsigned"]) == ("optional", "fraction")


@pytest.mark.parametrize(
    ("rates", "reading"),
    [
        (["0.12", "0.09", "0.2"], {"format": "double"}),
        (["12.5", "9", "20"], {"format": "percent", "sign": "none"}),
        (["12.5%", "9 %", "20%"], {"format": "percent"}),
    ],
)
def test_the_scale_of_a_rate_is_seen_in_its_size(rates: list[str | None], reading: dict[str, str]) -> None:
    found = _proposed(_loans(rate=rates)).applications["annual_rate"].reading

    assert {key: value for key, value in found.items() if key in ("format", "sign")} == reading


@pytest.mark.parametrize("rates", [["0.9", "1.1", "0.5"], ["0.109", "12.7", "14.2"], ["0.109", "0.12", "12.7"]])
def test_rates_on_both_sides_of_one_may_be_percent_or_fractions(rates: list[str | None]) -> None:
    (question,) = propose("mybank", [_loans(rate=rates)], Answers())[1]

    assert (question.flag, question.proposal) == ("--read rate.unsigned=", None)


def test_a_rare_rate_below_one_percent_does_not_hide_the_scale() -> None:
    columns = {
        name: [f"{at}" for at in range(100)] if name == "loan_id" else (texts[:2] * 50) for name, texts in LOANS.items()
    }

    file = profile_of("loans", **columns, rate=["0.9", *["12.5"] * 99])

    assert _proposed(file).applications["annual_rate"].reading["sign"] == "none"


def test_a_flag_whose_name_says_nothing_is_asked_for_each_value() -> None:
    file = _loans(status=["0", "1", "0"])

    proposal = _proposed(file, answers=Answers(outcome={"0": "repaid", "1": "default"}))

    assert _flags(file) == ["--outcome 0=", "--outcome 1="]
    assert proposal.applications["outcome"].reading["values"] == {"0": "repaid", "1": "default"}


def test_of_two_dates_without_a_known_name_none_is_taken_for_the_decision() -> None:
    names = {"issue_date": "alpha", "closed_on": "beta"}
    file = profile_of("loans", **{names.get(name, name): texts for name, texts in LOANS.items()})

    assert _flags(file) == ["--column decided_at="]
    assert _flags(file, answers=Answers(column={"decided_at": "alpha"})) == ["--column outcome_at="]


def test_an_only_date_is_the_decisions() -> None:
    columns = {name: texts for name, texts in LOANS.items() if name not in ("issue_date", "closed_on")}
    columns["alpha"] = LOANS["issue_date"]

    assert _proposed(profile_of("loans", **columns)).applications["decided_at"].column == "alpha"


def test_a_file_without_a_term_needs_one_for_all() -> None:
    columns = {name: texts for name, texts in LOANS.items() if name != "term"}
    file = profile_of("loans", **columns)

    assert _flags(file) == ["--term-months "]
    assert _proposed(file, answers=Answers(term_months=12)).term_months == 12


@pytest.mark.parametrize(
    ("name", "texts", "typed", "value"),
    [
        ("term_days", ["30", "45", "90"], "term_days", "{{ months_of_days('term_days') }}"),
        ("term", ["3 years", "5 years", "2 years"], "term_years", "12 * term_years"),
        ("laufzeit_monate", ["36", "60", "36"], "term_months", "term_months"),
    ],
)
def test_a_term_in_days_or_years_becomes_months(name: str, texts: list[str | None], typed: str, value: str) -> None:
    columns = {**{key: value for key, value in LOANS.items() if key != "term"}, name: texts}

    field = _proposed(profile_of("loans", **columns)).applications["term_months"]

    assert (field.name, field.sql) == (typed, value)


def test_a_monthly_income_becomes_a_years() -> None:
    field = _proposed(_loans(monthly_income=["2000", "3000", "2500"])).applications["annual_income"]

    assert (field.name, field.sql) == ("monthly_income", "12 * monthly_income")


def test_without_an_id_the_place_in_the_file_is_the_key() -> None:
    columns = {name: texts for name, texts in LOANS.items() if name != "loan_id"}

    assert _proposed(profile_of("loans", **columns)).applications.key == ("_file", "_line")


def test_several_files_each_fill_the_contract_whose_columns_they_have() -> None:
    loans = profile_of(
        "loans",
        loan_id=["1", "2", "3"],
        client=["a", "b", "a"],
        granted=["2020-01-31", "2020-02-01", "2020-03-05"],
        amount=["5000", "6000", "7000"],
        months=["12", "24", "12"],
    )
    ends = profile_of("ends", loan_id=["1", "2"], result=["paid", "charged off"], end_date=["2021-01-01", "2020-09-01"])
    months = profile_of(
        "months",
        client=["a", "a", "b"],
        statement_date=["2020-02-29", "2020-03-31", "2020-02-29"],
        balance=["900", "800", "5000"],
        days_past_due=["0", "35", "0"],
    )
    people = profile_of("people", client=["a", "b"], gender=["f", "m"], date_of_birth=["1980-01-31", "1990-02-01"])

    proposal = _proposed(loans, ends, months, people)

    assert {file.entity: file.contract for file in proposal.files} == {
        "loans": "applications",
        "ends": "outcomes",
        "months": "statements",
        "people": "demographics",
    }
    assert proposal.outcomes.entity == "ends"
    assert proposal.file("statements") is not None
    assert [file.key for file in proposal.files] == [
        ("loan_id",),
        ("loan_id",),
        ("client", "statement_on"),
        ("client",),
    ]


def test_a_value_that_fits_no_outcome_may_be_unknown_and_is_no_label() -> None:
    file = _loans(status=["paid", "charged off", "sold"])

    (question,) = propose("mybank", [file], Answers())[1]
    reading = _proposed(file, answers=Answers(outcome={"sold": "unknown"})).applications["outcome"].reading

    assert question.choices == ("default", "repaid", "running", "unknown")
    assert "unknown: the row has no outcome" in question.text
    assert reading["values"] == {"charged off": "default", "paid": "repaid", "sold": "running"}


def test_a_column_of_many_values_is_no_outcome_even_by_flag() -> None:
    columns = {name: texts[:2] * 40 for name, texts in LOANS.items()}
    file = profile_of("loans", **columns, note=[f"text {at}" for at in range(80)])

    with pytest.raises(SettingError, match="must have a few values: found 80 different ones in note"):
        propose("mybank", [file], Answers(column={"outcome": "note"}))


def test_ids_that_repeat_throughout_are_not_the_key_and_noted() -> None:
    columns = {name: [*texts, *texts] for name, texts in LOANS.items()}

    proposal = _proposed(profile_of("loans", **columns))

    assert proposal.applications.key == ("_file", "_line")
    assert proposal.notes == (
        "loans.loan_id: 6 values, of which 3 differ: it is not the key, each row is known by its file and line. "
        "--column application_id=loan_id makes it the key",
    )


@pytest.mark.parametrize(
    ("newest", "n_notes"), [("2020-12-31", 0), ("2021-01-31", 0), ("2022-01-31", 1), ("2099-12-31", 1)]
)
def test_a_lone_date_far_after_the_others_is_noted(newest: str, n_notes: int) -> None:
    """It would make every loan look mature."""
    columns = {name: [*texts, *texts, *texts, texts[0]] for name, texts in LOANS.items() if name != "loan_id"}
    columns["issue_date"] = [*["2020-01-31"] * 9, newest]

    notes = _proposed(profile_of("loans", **columns)).notes

    assert len(notes) == n_notes
    assert all(
        note.startswith(f"loans.issue_date: one value is of {newest[:4]}, the next newest of 2020.") for note in notes
    )


def test_a_reading_of_a_column_without_a_meaning_is_noted() -> None:
    answers = Answers(read={"colour.pattern": "DD/MM/YYYY"})

    notes = _proposed(_loans(colour=["red", "blue", "red"]), answers=answers).notes

    assert notes == ("loans.colour is not used: --read colour. has no effect",)


def test_unfit_values_repeated_ids_and_unknown_words_are_notes() -> None:
    columns = dict(LOANS)
    columns["loan_id"] = [*(str(number) for number in range(9)), "8"]
    file = profile_of(
        "loans",
        loan_id=columns["loan_id"],
        issue_date=["2020-01-31"] * 10,
        amount=["a lot", *["5000"] * 9],
        term=["12"] * 10,
        purpose=["boat", *["car"] * 9],
        default=["0", *["1"] * 9],
    )

    notes = _proposed(file).notes

    assert notes == (
        "loans.loan_id: 1 rows repeat an id and 0 have none; the last row of an id counts",
        "loans.amount: at least 1 of 10 values do not fit (a lot): their rows will be set aside",
        "loans.purpose: no purpose is known for boat: written as other",
    )


def test_a_percent_sign_among_amounts_and_a_currency_among_rates_declare_nothing() -> None:
    """dbt refuses an amount in percent and a rate in dollars, for every lender: one such cell would stop all builds."""
    columns = {name: [*texts, *texts, *texts] for name, texts in LOANS.items()}
    columns["loan_id"] = [str(number) for number in range(9)]
    columns["amount"] = ["12%", *["5000"] * 8]
    columns["rate"] = ["$5", "€ 7", *["12.5%"] * 7]

    answers = Answers(read={"rate.unsigned": "percent"})
    proposal = _proposed(profile_of("loans", **columns), answers=answers)

    amount, rate = (proposal.applications[meaning].reading for meaning in ("requested_amount", "annual_rate"))
    assert (amount["format"], amount.keys() & {"sign", "unsigned"}) == ("amount", set())
    assert (rate["format"], "currency" in rate) == ("percent", False)
    for reading in (amount, rate):
        macros()["require_reading"](dict(reading))
    assert "loans.amount: at least 1 of 9 values do not fit (12%): their rows will be set aside" in proposal.notes


def test_numbers_of_days_among_dates_are_named_with_the_flag_that_reads_them() -> None:
    """A column typed by several people: a date, a text, a bare number of days."""
    columns = {name: [*texts, *texts] for name, texts in LOANS.items()}
    columns["loan_id"] = [str(number) for number in range(6)]
    columns["issue_date"] = ["2020-01-31", "2020-02-01", "2020-03-05", "2020-03-06", "2020-03-07", "43831"]
    file = profile_of("loans", **columns)

    read = _proposed(file, answers=Answers(read={"issue_date.epoch": "excel"}))

    assert _proposed(file).notes == (
        "loans.issue_date: at least 1 of 6 values do not fit (43831): their rows will be set aside",
        "loans.issue_date: 1 of them are whole numbers (43831), as a spreadsheet's numbers of days: --read "
        "issue_date.epoch=excel reads them beside the dates",
    )
    reading = read.applications["decided_at"].reading
    assert (read.notes, reading["pattern"], reading["epoch"]) == ((), "YYYY-MM-DD", "excel")


def test_rows_without_a_value_that_is_required_are_noted() -> None:
    notes = _proposed(_loans(amount=["5000", None, "NA"])).notes

    assert notes == ("loans.amount: 2 rows have no value, and will be set aside",)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (Answers(column={"decision": "issue_date"}), "--column must name one of application_id"),
        (Answers(column={"decided_at": "nonesuch"}), "--column decided_at= must be a column of the files, or none"),
        (Answers(read={"nonesuch.pattern": "x"}), "--read must be COLUMN.KEY=VALUE"),
        (Answers(read={"issue_date.patern": "x"}), "found patern, did you mean pattern?"),
        (Answers(read={"amount.decimal": "x"}), "--read amount.decimal= must be one of . ,: found 'x'"),
        (Answers(read={"status.decimal": ","}), "must be a key of the format text"),
        (Answers(outcome={"paid": "good"}), "must be one of default, repaid, running, unknown: found 'good'"),
        (
            Answers(outcome={"nosuch": "default"}),
            "--outcome must name a value of status, one of charged off, current, paid: found nosuch",
        ),
        (Answers(column={"outcome": "nonesuch"}), "--column outcome= must be a column of the files"),
        (Answers(file={"loans": "loans"}), "--file must be ENTITY=CONTRACT"),
    ],
)
def test_an_answer_about_something_that_does_not_exist_is_refused(answers: Answers, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        propose("mybank", [_loans()], answers)


def test_rows_that_would_belong_to_nobody_are_asked_about() -> None:
    """By their line they match no loan: a history of statements would be empty, and say nothing of it."""
    statements = profile_of(
        "statements", rider_no=["r1", "r2"], statement_date=["2020-01-31", "2020-02-29"], balance=["10", "12"]
    )
    kinds = {"loans": "applications", "statements": "statements"}

    asked = _flags(_loans(), statements, answers=Answers(file=kinds))
    answered = _flags(_loans(), statements, answers=Answers(file=kinds, column={"borrower_id": "rider_no"}))

    assert (asked, answered) == (["--column borrower_id="], [])
