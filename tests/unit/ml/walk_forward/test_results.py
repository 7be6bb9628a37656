"""Months are stored and read whole, also in a lake whose columns an earlier version put in another order."""

from ml.walk_forward.plan import WalkPlan
from ml.walk_forward.results import read_month, read_walk, write_month
from ml.walk_forward.walk import no_decisions
from tests.unit.ml.walk_forward.walked_months import walked_month
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings


def test_a_month_reads_back_as_written_whatever_the_order_of_columns(home: Settings) -> None:
    with writer("an earlier version", home) as con:
        con.execute("alter table monitoring.walk_forward drop column why")
        con.execute("alter table monitoring.walk_forward add column why varchar")
    month = walked_month(3, "drift", why="5 of 10 features drifted", n_decisions=0)

    write_month(home, month, no_decisions())

    plan = WalkPlan("bank", month.month, month.month)
    with connect(home) as con:
        found = read_month(con, plan, "drift", month.month)
        assert read_month(con, plan, "never", month.month) is None
    assert found is not None
    assert found.why == "5 of 10 features drifted"
    assert (found.champion, found.score_psi, found.n_features) == (month.champion, month.score_psi, month.n_features)


def test_the_next_month_stays_only_if_it_began_with_the_same_champion(home: Settings) -> None:
    write_month(home, walked_month(3, champion="a"), no_decisions())
    write_month(home, walked_month(4, champion_before="a", champion="b"), no_decisions())

    assert not write_month(home, walked_month(3, champion="a", why="again"), no_decisions())
    assert write_month(home, walked_month(3, champion="c"), no_decisions())

    with connect(home) as con:
        assert [(row.month.month, row.champion) for row in read_walk(con, run="main", source="bank")] == [(3, "c")]
