"""The simulated lender's files: equal for equal parameters, streamed, and of the promised shape."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from warehouse.errors import SettingError
from warehouse.raw import SIMULATED
from warehouse.sources.simulated import generate
from warehouse.sources.simulated.simulation import Simulation

SMALL = Simulation(applications=3_000, months=24, seed=3)


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    """A small lender, each of its files a view."""
    con = duckdb.connect()
    for entity, path in generate.generate(SMALL, tmp_path_factory.mktemp("lender")).items():
        con.execute(f"create view {entity} as from '{path}'")
    return con


def one(lender: duckdb.DuckDBPyConnection, query: str) -> tuple[object, ...]:
    row = lender.execute(query).fetchone()
    assert row is not None
    return row


def tables(simulation: Simulation, directory: Path) -> dict[str, pa.Table]:
    return {entity: pq.read_table(path) for entity, path in generate.generate(simulation, directory).items()}


def test_equal_parameters_give_equal_files(tmp_path: Path) -> None:
    simulation = Simulation(applications=300, months=12, seed=1)

    one_run, other_run = (generate.generate(simulation, tmp_path / name) for name in ("one", "other"))

    assert [path.read_bytes() for path in one_run.values()] == [path.read_bytes() for path in other_run.values()]


def test_another_seed_is_another_lender_with_ids_of_its_own(tmp_path: Path) -> None:
    """Two simulated lenders in one lake must not share a borrower."""
    first = tables(Simulation(applications=50, months=12, seed=1), tmp_path)["applications"]
    second = tables(Simulation(applications=50, months=12, seed=2), tmp_path)["applications"]

    for column in ("application_id", "borrower_id"):
        assert set(first[column].to_pylist()).isdisjoint(second[column].to_pylist())


def test_files_have_the_declared_columns_in_order(tmp_path: Path) -> None:
    found = {entity: tuple(table.column_names) for entity, table in tables(SMALL, tmp_path).items()}

    assert found == SIMULATED.entities


def test_chunks_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any size is written chunk by chunk: numbers, ids and borrowers must go on where the last chunk ended."""
    monkeypatch.setattr(generate, "CHUNK_APPLICATIONS", 40)

    found = tables(Simulation(applications=100, months=12, seed=1), tmp_path)

    numbers = [int(text.rpartition("a")[2]) for text in found["applications"]["application_id"].to_pylist()]
    assert numbers == list(range(1, 101))
    borrowers = found["demographics"]["borrower_id"].to_pylist()
    assert len(set(borrowers)) == len(borrowers)
    assert set(found["applications"]["borrower_id"].to_pylist()) == set(borrowers)


def test_an_interrupted_run_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-written file under its final name would be taken for the whole simulation ever after."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(generate, "CHUNK_APPLICATIONS", 40)
    monkeypatch.setattr(generate, "_demographics", interrupted)

    with pytest.raises(KeyboardInterrupt):
        generate.generate(Simulation(applications=100, months=12), tmp_path)

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("parameter", ["applications", "months"])
def test_a_lender_of_nothing_is_refused(parameter: str) -> None:
    with pytest.raises(SettingError, match=f"{parameter} of a simulated lender must be at least 1: found 0"):
        Simulation(**{parameter: 0})


def test_every_month_has_applications(lender: duckdb.DuckDBPyConnection) -> None:
    months = one(
        lender,
        """
        select count(distinct date_trunc('month', decided_at)), min(decided_at)::date::text, max(decided_at)::date::text
        from applications
        """,
    )

    assert months == (24, "2024-01-01", "2025-12-31")


def test_the_true_probabilities_are_calibrated_to_the_outcomes(lender: duckdb.DuckDBPyConnection) -> None:
    """Outcomes are one draw from the truth: over mature loans their sum is within four standard errors of it.

    Only loans whose every outcome is known by now: among the others, early defaults are known and repayments are not.
    """
    n_defaults, expected, variance = one(
        lender,
        """
        select sum(is_default::int), sum(p_default), sum(p_default * (1 - p_default))
        from applications join truth using (application_id) join outcomes using (application_id)
        where decided_at + to_months(term_months::int) + interval 121 days < timestamp '2026-01-01'
        """,
    )

    assert abs(n_defaults - expected) < 4 * variance**0.5  # type: ignore[operator]


def test_every_mature_loan_has_its_outcome(lender: duckdb.DuckDBPyConnection) -> None:
    missing = one(
        lender,
        """
        select count(*) from applications anti join outcomes using (application_id)
        where decided_at + to_months(term_months::int) + interval 121 days < timestamp '2026-01-01'
        """,
    )

    assert missing == (0,)


def test_about_one_loan_in_eight_defaults_and_twice_as_many_in_the_shock(lender: duckdb.DuckDBPyConnection) -> None:
    calm, shock = one(
        lender,
        "select avg(p_default) filter (not is_shock_period), avg(p_default) filter (is_shock_period) from truth",
    )

    assert 0.08 < calm < 0.15  # type: ignore[operator]
    assert 1.5 < shock / calm < 2.5  # type: ignore[operator]


def test_nothing_is_known_before_it_happened_or_after_the_end(lender: duckdb.DuckDBPyConnection) -> None:
    early_or_late = one(
        lender,
        """
        select
            (select count(*) from statements where known_at <= statement_on or known_at >= '2026-01-01'),
            (select count(*) from outcomes where known_at <= outcome_at or known_at >= '2026-01-01')
        """,
    )

    assert early_or_late == (0, 0)


def test_outcomes_follow_their_decision_within_the_term(lender: duckdb.DuckDBPyConnection) -> None:
    wrong = one(
        lender,
        """
        select count(*) from outcomes join applications using (application_id)
        where outcome_at < decided_at or outcome_at > decided_at + to_months(term_months::int) + interval 5 days
        """,
    )

    assert wrong == (0,)


def test_some_statements_arrive_weeks_late(lender: duckdb.DuckDBPyConnection) -> None:
    """Point-in-time joins are only put to the test by rows that become known after a later decision."""
    (share,) = one(lender, "select avg((known_at > statement_on + interval 14 days)::int) from statements")

    assert 0.01 < share < 0.06  # type: ignore[operator]


def test_most_applications_have_statements_known_before_their_decision(lender: duckdb.DuckDBPyConnection) -> None:
    (share,) = one(
        lender,
        """
        select avg(exists (from statements s where s.borrower_id = a.borrower_id and s.known_at < a.decided_at)::int)
        from applications a
        """,
    )

    assert 0.85 < share < 1  # type: ignore[operator]


def test_a_statement_month_comes_once_per_borrower(lender: duckdb.DuckDBPyConnection) -> None:
    (most,) = one(
        lender,
        """
        select max(n)
        from (select count(*) as n from statements group by borrower_id, date_trunc('month', statement_on))
        """,
    )

    assert most == 1


def test_borrowers_come_back(lender: duckdb.DuckDBPyConnection) -> None:
    (share,) = one(lender, "select avg((n > 1)::int) from (select count(*) n from applications group by borrower_id)")

    assert 0.2 < share < 0.6  # type: ignore[operator]


def test_what_the_lender_sees_ranks_risk_but_not_as_well_as_the_truth(lender: duckdb.DuckDBPyConnection) -> None:
    """A truth near 1 would make every model look like a leak; a useless bureau score would make none worth having."""
    rows = lender.execute(
        "select p_default, -bureau_score, is_default from applications join truth using (application_id) "
        "join outcomes using (application_id) where bureau_score is not null"
    ).fetchnumpy()

    truth, bureau = (roc_auc_score(rows["is_default"], scores) for scores in list(rows.values())[:2])

    assert 0.72 < truth < 0.85
    assert 0.58 < bureau < truth - 0.05
