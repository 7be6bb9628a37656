"""A small lender with a history to walk, and the label rule as dbt compiles it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from ml.judging.gate import GateLimits
from ml.walk_forward.plan import WalkPlan
from ml.walk_forward.results import WalkedMonth
from ml.walk_forward.walk import Report, walk_forward
from tests.model_factory import CONTRACT, SETTINGS, SOURCE, fill_lake
from warehouse.features.contract import FeatureContract
from warehouse.lake.connection import connect, writer
from warehouse.lenders.label_rule import LabelRule
from warehouse.settings import Settings

N_APPLICATIONS = 2_000
#: What a lender of eighty loans a month can be judged by.
LENIENT = GateLimits({
    "min_test_rows": 20, "min_test_defaults": 3, "min_auc": 0.1, "auc_margin": 1.0, "brier_margin": 1.0,
    "max_excess_ece": 1.0, "mean_ratio": (0.0, 10.0), "max_train_test_gap": 1.0, "max_isolated": 1.0,
})  # fmt: skip
#: Labels of four months, and the simulated lender's lag of four: by July 2021 loans to November 2020 are mature.
WINDOW = 4
JULY, AUGUST, SEPTEMBER, OCTOBER = (date(2021, month, 1) for month in (7, 8, 9, 10))


@dataclass(frozen=True)
class History:
    """A home whose lake holds 2,000 applications of 2020 and 2021, and their outcomes three months later."""

    settings: Settings
    rule: LabelRule

    def walk(
        self,
        first: date,
        last: date,
        *,
        report: Report | None = None,
        contract: FeatureContract = CONTRACT,
        **plan: Any,
    ) -> list[WalkedMonth]:
        """Walk these months; every option of the plan can be given."""
        defaults = {"limits": LENIENT, "training": SETTINGS, "label_window_months": WINDOW, "source": SOURCE}
        return walk_forward(
            self.settings, WalkPlan(**{"first": first, "last": last, **defaults, **plan}), self.rule, contract, report
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with connect(self.settings) as con:
            return con.execute(query).fetchall()

    def write(self, statement: str) -> None:
        """Change the lake."""
        with writer("test", self.settings) as con:
            con.execute(statement)

    @contextmanager
    def planted(self, change: str) -> Iterator[None]:
        """Update ``core.int_outcome_versions`` by this ``set … where …``, and put all outcomes back afterwards."""
        with self._kept():
            self.write(f"update core.int_outcome_versions {change}")
            yield

    @contextmanager
    def restated(self, change: str, *, where: str, known_at: str) -> Iterator[None]:
        """Add a version of these outcomes, known from then, with a column ``replace``d; put all back afterwards."""
        with self._kept():
            known = f"timestamp '{known_at}'"
            self.write(
                f"insert into core.int_outcome_versions select * replace ({change}, {known} as known_at, {known} as "
                f"loaded_at) from core.outcomes_kept where {where} and known_at < {known}"
            )
            self.write(
                f"update core.int_outcome_versions set superseded_at = {known} where {where} and known_at < {known}"
            )
            yield

    @contextmanager
    def _kept(self) -> Iterator[None]:
        self.write("create table core.outcomes_kept as from core.int_outcome_versions")
        try:
            yield
        finally:
            self.write("delete from core.int_outcome_versions")
            self.write("insert into core.int_outcome_versions from core.outcomes_kept")
            self.write("drop table core.outcomes_kept")


@pytest.fixture(scope="module")
def history(rule: LabelRule, tmp_path_factory: pytest.TempPathFactory) -> History:
    """One for a module: tests name runs of their own, and undo what they plant."""
    found = History(Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("history"))}), rule)
    fill_history(found)
    return found


def fill_history(history: History) -> None:
    """Write the lender's tables, as dbt would."""
    fill_lake(history.settings, N_APPLICATIONS)
    with writer("test data", history.settings) as con:
        con.execute("""
            create table core.int_applications as
            select application_id, borrower_id, source, decided_at, decided_at as known_at, term_months
            from features.ftr_application_inputs""")
        con.execute("""
            create table core.int_application_versions as
            select *, known_at as loaded_at, cast(null as timestamp) as superseded_at, false as is_known_by_load
            from core.int_applications;
            create table core.int_outcome_versions as
            select application_id, source, is_default, decided_at + interval 3 months as outcome_at,
                decided_at + interval 95 days as known_at, 0.0::double as loss_amount,
                null::timestamp as superseded_at, decided_at + interval 95 days as loaded_at, false as is_known_by_load
            from training.lbl_default""")
        con.execute(f"""
            create table core.int_lenders as select '{SOURCE}' as source, true as is_dated,
                null::integer as label_window_months, 4 as outcome_lag_months, 4 as window_lag_months,
                'time' as split_by, 6 as tune_months, 6 as test_months, 1 as split_min_rows, 1 as split_min_defaults,
                0.49::double as split_max_share""")
        con.execute(
            "create table core.int_statements (borrower_id varchar, source varchar, known_at timestamp, "
            "superseded_at timestamp, loaded_at timestamp, is_known_by_load boolean)"
        )
