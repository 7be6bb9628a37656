"""Compare logged features with the version's own SQL on the logged inputs.

``ml.bundle.parity`` checks the compiled SQL before promotion. This checks real decisions, and those of a challenger in
shadow: DuckDB runs the bundle's own SQL text on a table of the log's inputs, and every feature is compared to the bit.
"""

from collections.abc import Sequence
from datetime import date, datetime
from json import dumps
from typing import TYPE_CHECKING

import duckdb

from ml.monitoring.samples import SCORED_ONLINE, MonitoredModel, decisions_of
from ml.monitoring.skew_sql import ANY, Pair, Tallies, Tally, merge, tally_equal
from warehouse.decision_log.features import decided_features
from warehouse.errors import MonitoringError
from warehouse.features.contract import FeatureContract
from warehouse.features.expressions import relation_of
from warehouse.sql.quoting import identifier

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 100_000
#: Decisions that DuckDB refuses are found one by one; beyond this number the SQL is wrong, not the rows.
_MOST_REFUSED = 100


def compare_logged_features(
    con: duckdb.DuckDBPyConnection,
    contract: FeatureContract,
    model: MonitoredModel,
    *,
    months: Sequence[date] | None = None,
    ingested_since: datetime | None = None,
) -> Tallies:
    """Recompute the features of the model's online scores; by month and feature, how many differ.

    A decision on whose inputs DuckDB stops with an error counts as different. Memory holds one batch of rows.
    """
    given = dumps({column.name: column.data_type.upper() for column in contract.inputs})
    features = decided_features(con, contract.version, contract.feature_types)
    where, parameters = decisions_of(model, months)
    if ingested_since is not None:
        parameters.append(ingested_since)
        where += f" and ingested_at >= ${len(parameters)}"
    logged = con.execute(
        "select decision_id, month, given, seen from ("
        f"select decision_id, date_trunc('month', decided_at)::date as month, {read_json('inputs', given)} as given "
        f"from {SCORED_ONLINE} where {where}) left join {features} as seen using (decision_id)",
        parameters,
    ).to_arrow_reader(_BATCH_ROWS)
    tallies: Tallies = {}
    with duckdb.connect() as own:
        own.execute("set timezone = 'UTC'")
        text = _OwnText(own, contract)
        for batch in logged:
            merge(tallies, text.compare(batch))
    return tallies


class _OwnText:
    """A separate database in which the relation of the version's SQL holds logged inputs."""

    def __init__(self, con: duckdb.DuckDBPyConnection, contract: FeatureContract) -> None:
        self._con = con
        self._contract = contract
        self._n_refused = 0
        *place, _ = parts = relation_of(contract.sql)
        self._relation = ".".join(map(identifier, parts))
        if len(place) > 1:
            con.execute(f"attach ':memory:' as {identifier(place[0])}")
        if place:
            con.execute(f"create schema {'.'.join(map(identifier, place))}")
        self._pairs = [
            Pair(
                feature.name,
                feature.data_type,
                f"logged.{identifier(feature.name)}",
                f"computed.{identifier(feature.name)}",
            )
            for feature in contract.features
        ]

    def compare(self, batch: "pa.RecordBatch") -> Tallies:
        """Count the differences in a batch of columns ``decision_id``, ``month``, ``given`` and ``seen``."""
        try:
            return self._compare(batch)
        except (duckdb.DataError, duckdb.InvalidInputException) as error:
            if batch.num_rows > 1:
                half = batch.num_rows // 2
                tallies = self.compare(batch.slice(0, half))
                merge(tallies, self.compare(batch.slice(half)))
                return tallies
            self._n_refused += 1
            if self._n_refused > _MOST_REFUSED:
                raise MonitoringError(
                    f"DuckDB stops on the logged inputs of more than {_MOST_REFUSED} decisions with features "
                    f"{self._contract.version}: {error}"
                ) from error
            decision_id, month = batch["decision_id"][0].as_py(), batch["month"][0].as_py()
            return {(month, ANY): Tally(n_decisions=1, n_different=1, examples=(decision_id,))}

    def _compare(self, batch: "pa.RecordBatch") -> Tallies:
        self._con.register("batch", batch)
        self._con.execute(f"create or replace table {self._relation} as select given.* from batch")
        # row n of the result is of input n: DuckDB keeps the order of a select without join, filter or grouping
        return tally_equal(
            self._con,
            f"(select decision_id, month, seen as logged, computed from batch "
            f"positional join (select computed from ({self._contract.sql}) as computed))",
            self._pairs,
        )


def read_json(column: str, types: str) -> str:
    """SQL of a column of the log as a struct; unreadable text is null in its row alone."""
    return f"case when json_valid({column}) then from_json({column}, '{types}') end"
