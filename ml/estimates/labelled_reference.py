"""Read a version's labelled reference loans, and its decisions by month with what is known of their outcomes."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import duckdb
import numpy as np
from numpy.typing import NDArray

from ml.bundle.feature_rows import offline_columns, offline_frame
from ml.bundle.scorer import Scorer
from ml.estimates.early_defaults import ObservedLoans
from ml.estimates.estimate import LabelledReference
from ml.monitoring.performance import labelled_decisions
from ml.monitoring.samples import SAMPLE_SEED, MonitoredModel, decisions_of
from ml.training.training_set import training_table
from warehouse.decision_log.features import decided_features
from warehouse.errors import MonitoringError
from warehouse.lake.tables import is_table
from warehouse.lake.training_rows import EXPOSURES, rows_at

if TYPE_CHECKING:
    import pyarrow as pa

#: Most reference loans, and most decisions of a month whose features are compared with them; always the same ones.
MOST_REFERENCE, MOST_COMPARED = 20_000, 10_000
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DecidedMonth:
    """A month's decisions: served probability, and outcome where known (``is_mature``), each of shape (n,)."""

    month: date
    probability: Floats
    is_mature: NDArray[np.bool_]
    defaulted: NDArray[np.bool_]


def read_reference(
    con: duckdb.DuckDBPyConnection, scorer: Scorer, model: MonitoredModel, *, snapshot: int
) -> tuple[LabelledReference, date]:
    """The version's test rows, scored as it is served, and the month of the newest.

    They are out of time for the model (or drawn apart from its training rows, for a lender without dates). Raises
    MonitoringError if the snapshot has none.
    """
    table = training_table(scorer.contract.version)
    found = con.execute(
        f"select is_default, decided_at, {offline_columns(scorer.contract, 'rows')} "
        f"from (from {rows_at(con, table, snapshot)}) as rows where source = $1 and split = 'test' "
        f"order by md5(application_id || '{SAMPLE_SEED:d}') limit {MOST_REFERENCE:d}",
        [model.source],
    ).to_arrow_table()
    if found.num_rows == 0:
        raise MonitoringError(
            f"performance is estimated from test rows, and {table} at snapshot {snapshot} has none of source "
            f"{model.source!r}: check the snapshot in the model's lineage"
        )
    matrix = encode(scorer, found)
    months = (f(found.column("decided_at").to_pylist()) for f in (min, max))
    first, newest = (each.date().replace(day=1) for each in months)
    reference = LabelledReference(
        matrix=matrix[:, compared_columns(scorer)],
        probability=scorer.score_matrix(matrix).probability,
        defaulted=found.column("is_default").to_numpy().astype(np.bool_),
        applicants=_applicants(con, scorer, model.source, first, newest),
    )
    return reference, newest


def _applicants(con: duckdb.DuckDBPyConnection, scorer: Scorer, source: str, first: date, newest: date) -> Floats:
    """Served probabilities of all who applied from one month to another, or of a sample."""
    found = con.execute(
        f"select {offline_columns(scorer.contract, 'rows')} from {scorer.contract.tables.features_table} as rows "
        "where source = $1 and decided_at >= $2 and decided_at < $3::date + interval 1 month "
        f"order by md5(application_id || '{SAMPLE_SEED:d}') limit {MOST_REFERENCE:d}",
        [source, first, newest],
    ).to_arrow_table()
    return scorer.score_matrix(encode(scorer, found)).probability


def encode(scorer: Scorer, rows: "pa.Table") -> NDArray[np.float32]:
    """Rows with :func:`ml.bundle.feature_rows.offline_columns` as the model reads them."""
    batches = rows.combine_chunks().to_batches()
    if not batches:
        return np.empty((0, len(scorer.bundle.design_matrix.columns)), dtype=np.float32)
    matrix: NDArray[np.float32] = scorer.bundle.design_matrix.encode(offline_frame(batches[0], scorer.contract))
    return matrix


def compared_columns(scorer: Scorer) -> NDArray[np.bool_]:
    """Columns that a month's applicants are compared by: all but those of cohort features.

    A cohort feature has one value for all loans of a segment and day: it tells the month, not its applicants. With them
    1,275 reference loans of the simulated lender had the weight of 30.
    """
    of_cohorts = scorer.contract.features_made_of("cohort")
    return np.array([name not in of_cohorts for name in scorer.bundle.design_matrix.feature_of_column])


def compared_features(
    con: duckdb.DuckDBPyConnection, scorer: Scorer, model: MonitoredModel, month: date
) -> NDArray[np.float32]:
    """Encoded features that the model saw in a month, as :func:`compared_columns`.

    A sample of at most :data:`MOST_COMPARED` decisions.
    """
    where, parameters = decisions_of(model, [month])
    features = decided_features(con, scorer.contract.version, scorer.contract.feature_types)
    rows = con.execute(
        f"select {offline_columns(scorer.contract, 'seen')} from (select decision_id from {model.decisions} "
        f"where {where} order by md5(decision_id || '{SAMPLE_SEED:d}') limit {MOST_COMPARED:d}) as decided "
        f"join {features} as seen using (decision_id) order by decision_id",
        parameters,
    ).to_arrow_table()
    return encode(scorer, rows)[:, compared_columns(scorer)]


def decided_months(con: duckdb.DuckDBPyConnection, model: MonitoredModel) -> list[tuple[date, int, int]]:
    """First day, decisions and mature decisions of each month, oldest first; keeps the decisions for the next calls."""
    query, parameters = labelled_decisions(model)
    con.execute(f"create or replace temp table estimated_decisions as {query}", parameters)
    return con.execute(
        "select month, count(*), count(is_default) from estimated_decisions group by month order by month"
    ).fetchall()


def read_month(con: duckdb.DuckDBPyConnection, month: date) -> DecidedMonth:
    """One month of :func:`decided_months`."""
    found = con.execute(
        "select p, is_default is not null as is_mature, coalesce(is_default, false) as defaulted "
        "from estimated_decisions where month = $1 order by all",
        [month],
    ).fetchnumpy()
    return DecidedMonth(
        month,
        np.asarray(found["p"], dtype=np.float64),
        np.asarray(found["is_mature"], dtype=np.bool_),
        np.asarray(found["defaulted"], dtype=np.bool_),
    )


def default_times(con: duckdb.DuckDBPyConnection, source: str) -> Floats:
    """Windows from decision to default of mature loans that defaulted within the window; empty without exposures."""
    if not is_table(con, EXPOSURES):
        return np.empty(0)
    found = con.execute(
        f"select observed_windows from {EXPOSURES} where source = $1 and not is_open and is_default "
        "and observed_windows <= 1 order by all",
        [source],
    ).fetchnumpy()
    return np.asarray(found["observed_windows"], dtype=np.float64)


def read_observed(con: duckdb.DuckDBPyConnection, model: MonitoredModel, month: date) -> ObservedLoans:
    """A month's decisions on loans that were observed for some time; a loan's exposure ends with its window."""
    where, parameters = decisions_of(model, [month])
    found = con.execute(
        # a default ends the exposure that lbl_exposures gives: how long it could have been seen is scaled from it
        f"""
        select decided.probability as p,
            least(case when exposures.is_default then exposures.observed_windows
                * (epoch(exposures.observed_until) - epoch(exposures.decided_at))
                / greatest(epoch(outcomes.outcome_at) - epoch(exposures.decided_at), 1)
                else exposures.observed_windows end, 1) as observed_windows,
            exposures.is_default and exposures.observed_windows <= 1 as defaulted
        from (select application_id, probability from {model.decisions} where {where}) as decided
        join {EXPOSURES} as exposures on exposures.application_id = decided.application_id and exposures.source = $1
        left join core.int_outcomes as outcomes on outcomes.application_id = exposures.application_id
        order by all""",
        parameters,
    ).fetchnumpy()
    return ObservedLoans(
        np.asarray(found["p"], dtype=np.float64),
        np.asarray(found["observed_windows"], dtype=np.float64),
        np.asarray(found["defaulted"], dtype=np.bool_),
    )
