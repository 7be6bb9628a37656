"""A source's applications, features and labels at one lake snapshot, as known on a day.

The dbt project's rule (:class:`warehouse.lenders.label_rule.LabelRule`) gives labels and splits as of the day. Features
are point in time by construction. Each month reads its columns from the lake again; memory holds only a training set
and a month's decisions.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING

import duckdb

from ml.bundle.feature_rows import offline_columns
from ml.training.training_set import EXPOSURE_COLUMNS, KEY_COLUMNS, SPLITS, TrainingSet, collect_training_set
from ml.walk_forward.plan import next_month
from warehouse.errors import NotFoundError, TrainingSetError
from warehouse.features.contract import FeatureContract
from warehouse.lake.training_rows import exposed_rows
from warehouse.lenders.label_rule import EXPOSURES_MODEL, LENDERS, RULE_INPUTS, SPLITS_MODEL, LabelRule
from warehouse.sql.quoting import identifier, literal

if TYPE_CHECKING:
    import pyarrow as pa

#: Temporary tables of the reader's connection: labels and exposures as of the last requested day, and all labels.
LABELS, EXPOSURES, FINAL_LABELS = "walk_labels", "walk_exposures", "walk_final_labels"
_BATCH_ROWS, _TRAINING_ROWS = 20_000, 1_000_000
_END_OF_TIME = datetime(9999, 1, 1)


class KnownRows:
    """Reads one source at one snapshot; the connection's current catalog is the lake.

    ``window_months``: a default counts within this time after the decision, whatever the lender's file says.
    ``exposures``: whether training sets have open loans, and how long each loan was observed by the day.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        rule: LabelRule,
        contract: FeatureContract,
        *,
        source: str,
        snapshot: int,
        window_months: int,
        exposures: bool = False,
    ) -> None:
        self._con, self._rule, self._has_exposures = con, rule, exposures
        self.contract, self.source, self.snapshot = contract, source, snapshot
        self._day: date | None = None
        self._relations = {
            name: f"(select * from core.{name} at (version => {snapshot:d}) where source = {literal(source)})"
            for name in RULE_INPUTS
        }
        self._relations[LENDERS] = (
            f"(select * replace ({window_months:d} as label_window_months) from {self._relations[LENDERS]})"
        )

    def decided_months(self) -> tuple[date, date]:
        """First days of the first and last month with applications; raises NotFoundError if there are none."""
        try:
            row = self._con.execute(
                "select date_trunc('month', min(decided_at))::date, date_trunc('month', max(decided_at))::date "
                f"from {self._relations['int_applications']}"
            ).fetchone()
        except duckdb.CatalogException:
            row = None
        if row is None or row[0] is None:
            raise NotFoundError(
                f"core.int_applications holds no application of source {self.source!r}: load its files and build the "
                "tables with `loanlake run` first"
            )
        return row[0], row[1]

    def ask_labels(self, day: date) -> None:
        """Make the temporary table :data:`LABELS` hold the labels known by the first moment of ``day``."""
        if self._day != day:
            self._ask(LABELS, datetime(day.year, day.month, day.day))
            self._day = day

    def _mature_rows(self) -> str:
        labels = {"split", "is_default", "label_known_at"}
        keys = [
            f"{LABELS if key in labels else 'features'}.{key}" for key in KEY_COLUMNS if key not in EXPOSURE_COLUMNS
        ]
        columns = ", ".join([*keys, *(f"features.{identifier(name)}" for name in self.contract.feature_names)])
        return (
            f"select {columns} from {LABELS} join {self.features_as('features')} "
            f"on features.application_id = {LABELS}.application_id"
        )

    def ask_final_labels(self) -> datetime:
        """Make :data:`FINAL_LABELS` hold every label known at the snapshot; return the end of knowledge."""
        self._ask(FINAL_LABELS, _END_OF_TIME)
        # the clock of core.int_clocks: a restated row that is known by its load says nothing of how far files reach
        known = " union all ".join(
            f"select max(known_at) as known_at from {self._relations[name]}"
            + ("" if name == "int_applications" else " where not is_known_by_load")
            for name in RULE_INPUTS
            if name not in (LENDERS, "int_application_versions")
        )
        (row,) = self._con.execute(f"select max(known_at) from ({known})").fetchall()
        clock: datetime = row[0]
        return clock

    def training_set(self, day: date) -> TrainingSet:
        """The training table as of ``day``; raises TrainingSetError without labels, or with one outcome in a split."""
        self.ask_labels(day)
        where = f"the labels of source {self.source!r} known by {day}"
        rows = f"({self._mature_rows()})"
        if self._has_exposures:
            self._ask(EXPOSURES, datetime(day.year, day.month, day.day), EXPOSURES_MODEL)
            rows = exposed_rows(self._mature_rows(), f"{EXPOSURES} as exposures", self.features_as("features"))
        reader = self._con.execute(f"select * from {rows} order by application_id").to_arrow_reader(
            batch_size=_TRAINING_ROWS
        )
        found = collect_training_set(
            reader,
            self.source,
            feature_version=self.contract.version,
            snapshot=self.snapshot,
            where=where,
            exposures=self._has_exposures,
        )
        if found is None:
            raise TrainingSetError(f"{where}: there are none")
        return found

    def applications(self, month: date) -> "Iterator[pa.RecordBatch]":
        """Ids, times and features of the applications decided in a month, in batches."""
        yield from self._con.execute(
            f"select features.application_id, features.decided_at, {offline_columns(self.contract, 'features')} "
            f"from {self.features_as('features')} where source = $1 and decided_at >= $2 and decided_at < $3",
            [self.source, month, next_month(month)],
        ).to_arrow_reader(batch_size=_BATCH_ROWS)

    def first_trainable_day(self, after: date) -> date | None:
        """The first day of the first month after ``after`` whose labels have both outcomes in every split."""
        end = next_month(self.ask_final_labels().date().replace(day=1))
        month = next_month(after)
        while month <= end:
            self.ask_labels(month)
            (found,) = self._con.execute(
                f"select count(*) from (select split from {LABELS} group by split "
                "having count(distinct is_default) = 2)"
            ).fetchall()
            if found[0] == len(SPLITS):
                return month
            month = next_month(month)
        return None

    def features_as(self, alias: str) -> str:
        """The feature table at the snapshot under an alias, for a from clause."""
        return f"{self.contract.tables.features_table} as {alias} at (version => {self.snapshot:d})"

    def _ask(self, table: str, day: datetime, model: str = SPLITS_MODEL) -> None:
        query = self._rule.query(day, self._relations, model)
        self._con.execute(f"create or replace temp table {table} as {query}")
