"""Which decisions judge a cut-off: the newest of the version in service on each loan with a mature label."""

from datetime import date
from types import SimpleNamespace

import pytest

from ml.policy_advice import decided_loans
from ml.policy_advice.advice_text import advice_lines, how_to_move
from ml.policy_advice.curve import ProfitCurve
from ml.policy_advice.decided_loans import DecidedLoans, read_decided_loans
from ml.registry.deployment import Deployment
from ml.training.policy import CutOffRule, Policy
from warehouse.errors import NotFoundError
from warehouse.lake.connection import writer
from warehouse.settings import Settings

SERVED = Deployment("bank", "default_risk_bank", 2, "v1", "bundles/x", "2024-01-02T03:04:05.000+00:00", "test")


@pytest.fixture
def served(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home that serves version 2; the lake has the tables of labels and applications."""
    monkeypatch.setattr(
        decided_loans, "read_deployment", lambda _settings, lender: SERVED if lender == "bank" else None
    )
    monkeypatch.setattr(decided_loans, "load_registered", lambda *_: SimpleNamespace(policy=Policy(0.2)))
    with writer("test", home) as con:
        con.execute("create table training.lbl_default (application_id varchar, is_default boolean)")
        con.execute("create table core.int_applications (application_id varchar, requested_amount double)")
    return home


def decide(settings: Settings, *decisions: tuple[str, str, float, int]) -> None:
    with writer("test", settings) as con:
        con.executemany(
            "insert into serving.predictions "
            "(decision_id, source, model_name, application_id, decided_at, probability, model_version) "
            "values (?, 'bank', 'default_risk_bank', ?, ?, ?, ?)",
            [[f"{number}", *each] for number, each in enumerate(decisions)],
        )


def test_the_newest_decision_on_each_mature_loan_counts(served: Settings) -> None:
    decide(
        served,
        ("b", "2024-01-05", 0.1, 2),
        ("b", "2024-03-05", 0.3, 2),
        ("a", "2024-02-05", 0.2, 2),
        ("a", "2024-04-05", 0.9, 1),  # of an earlier version
        ("open", "2024-06-05", 0.4, 2),
    )
    with writer("test", served) as con:
        con.execute("insert into training.lbl_default values ('a', false), ('b', true)")
        con.execute("insert into core.int_applications values ('a', 500), ('b', 700), ('open', null)")

    loans = read_decided_loans(served, "bank")

    assert (loans.probabilities.tolist(), loans.defaulted.tolist()) == ([0.2, 0.3], [False, True])
    assert loans.amounts is not None
    assert loans.amounts.tolist() == [500, 700]
    assert (loans.n_decided, loans.first_month, loans.last_month) == (3, date(2024, 2, 1), date(2024, 3, 1))


def test_months_and_loans_can_be_limited_and_the_same_loans_are_drawn_again(served: Settings) -> None:
    decide(served, *((f"l{n}", f"2024-0{1 + n % 2}-05", n / 10, 2) for n in range(8)))
    with writer("test", served) as con:
        con.execute("insert into training.lbl_default select 'l' || n, n % 2 = 0 from range(8) as of_n (n)")
        con.execute("insert into core.int_applications select 'l' || n, 500 from range(8) as of_n (n)")

    january = read_decided_loans(served, "bank", until=date(2024, 1, 1))
    drawn = [read_decided_loans(served, "bank", most=3).probabilities.tolist() for _ in range(2)]

    assert (january.probabilities.tolist(), january.last_month) == ([0.0, 0.2, 0.4, 0.6], date(2024, 1, 1))
    assert len(drawn[0]) == 3
    assert drawn[0] == drawn[1]


def test_a_loan_without_an_amount_weighs_none(served: Settings) -> None:
    decide(served, ("a", "2024-02-05", 0.2, 2))
    with writer("test", served) as con:
        con.execute("insert into training.lbl_default values ('a', false)")
        con.execute("insert into core.int_applications values ('a', null)")

    assert read_decided_loans(served, "bank").amounts is None


def test_without_mature_decisions_the_message_says_where_they_come_from(served: Settings) -> None:
    decide(served, ("open", "2024-02-05", 0.2, 2))

    with pytest.raises(NotFoundError, match=r"mature label: found none among 1 decisions; .* `loanlake run bank`"):
        read_decided_loans(served, "bank")
    with pytest.raises(NotFoundError, match=r"a model of other must be in service"):
        read_decided_loans(served, "other")


def test_the_advice_names_the_cut_offs_and_changes_nothing() -> None:
    """Of 300 loans at .1 and 300 at .4 a tenth and two fifths default: the higher ones lose .4 · .6 − .6 · .15 each."""
    probabilities = [0.1] * 300 + [0.4] * 300
    defaulted = [n % 10 < (1 if n < 300 else 4) for n in range(600)]
    curve = ProfitCurve(probabilities, defaulted, CutOffRule())
    loans = DecidedLoans(
        "bank", "m", 2, Policy(1.0), curve.probabilities, curve.defaulted, None, 700, date(2024, 1, 1), date(2024, 6, 1)
    )
    best = curve.best(1.0)

    lines = advice_lines(loans, curve, best, asked=0.2, by_amount=False)

    assert lines[0] == "m version 2: 600 matured of 700 decisions, 2024-01 to 2024-06; 25.0% defaulted"
    assert best.cut_off == 0.4
    [asked] = [line for line in lines if line.endswith("asked for")]
    # half of 600 approved: (270 × .15 − 30 × .6) / 600
    assert asked.split()[:5] == ["0.2000", "50.0%", "10.0%", "6.75", "3.00"]
    assert "3.75" in asked.split()
    assert any(line.endswith("a choice in this way earns more than the cut-off in force") for line in lines)
    assert "moving from 1.0000 to 0.4000 would have approved 0 more and declined 300 more, and gained +7.50" in "".join(
        lines
    )
    assert "rule: fixed, probability: 0.4" in how_to_move(loans, 0.4)[2]
