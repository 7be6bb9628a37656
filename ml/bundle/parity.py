"""Compare what a request computes with what dbt computed, to the bit, on the lake's rows, before every promotion.

Offline: the rows of ``features.ftr_application_vN``. Online: the compiled form of the same SQL on the same inputs, as
the API runs it. Also compared: both encodings of each row, and the served form's scores, of each row alone and of the
block, with the model's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb
import numpy as np
from numpy.typing import NDArray

from ml.bundle.bundle import Bundle
from ml.bundle.feature_rows import offline_columns, offline_frame, offline_name
from ml.bundle.logged_values import same_bits_by_row
from ml.bundle.scorer import Scorer
from ml.families.protocol import Matrix, Model
from ml.judging.gate import ParityEvidence
from warehouse.errors import ExpressionDomainError

if TYPE_CHECKING:
    import pyarrow as pa

#: Up to this number all rows are compared (42,535 Lending Club loans take 3 s of a core); beyond it, some of each
#: month.
SAMPLE_ROWS = 50_000
_BATCH_ROWS = 10_000
_MOST_EXAMPLES = 3


@dataclass
class FeatureMismatch:
    """Rows in which one feature differs; some are described as ``application_id: offline …, online …``."""

    feature: str
    n_rows: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass
class Parity:
    """The comparison up to now; ``mismatches`` by feature, ``n_mismatches`` rows with any."""

    n_rows: int = 0
    n_mismatches: int = 0
    max_score_difference: float = 0.0
    mismatches: dict[str, FeatureMismatch] = field(default_factory=dict)

    def add(self, feature: str, application_id: object, offline: object, online: object) -> None:
        """Count a feature that differs in a row."""
        found = self.mismatches.setdefault(feature, FeatureMismatch(feature))
        found.n_rows += 1
        if len(found.examples) < _MOST_EXAMPLES:
            found.examples.append(f"{application_id}: offline {offline!r}, online {online!r}")

    @property
    def evidence(self) -> ParityEvidence:
        """The evidence that the gate judges."""
        worst = max(self.mismatches.values(), key=lambda found: found.n_rows, default=None)
        text = None if worst is None else f"{worst.feature} in {worst.n_rows:,} rows, such as {worst.examples[0]}"
        return ParityEvidence(self.n_rows, self.n_mismatches, self.max_score_difference, text)


def measure_parity(
    con: duckdb.DuckDBPyConnection,
    bundle: Bundle,
    *,
    sample_rows: int | None = SAMPLE_ROWS,
    snapshot: int | None = None,
) -> Parity:
    """Compare the source's rows as of ``snapshot``, by default the training snapshot of the bundle.

    ``sample_rows``: approximate maximum, the same number from each month of decision, chosen by a hash of the id; None
    compares all.
    """
    scorer, served, model = Scorer(bundle), bundle.open_served(), bundle.read_model()
    parity = Parity()
    for batch in _rows(con, bundle, sample_rows, bundle.lineage.lake_snapshot if snapshot is None else snapshot):
        features = _compare_features(parity, scorer, batch)
        offline = scorer.bundle.design_matrix.encode(offline_frame(batch, bundle.contract))
        _compare_encodings(parity, batch, offline, features, scorer)
        _compare_scores(parity, model, served, offline)
    return parity


def _compare_features(parity: Parity, scorer: Scorer, batch: "pa.RecordBatch") -> list[tuple[object, ...] | None]:
    inputs = batch.select([column.name for column in scorer.contract.inputs]).to_pylist()
    computed: list[tuple[object, ...] | None] = []
    for given, present in zip(inputs, batch.column("_present").to_pylist(), strict=True):
        parity.n_rows += 1
        online: tuple[object, ...] | str
        try:
            online = scorer.features(given)
        except ExpressionDomainError as error:
            online = str(error)
        if not present or isinstance(online, str):
            reason = "no row in the feature table" if not present else online
            parity.add("(row)", given.get("application_id"), "present" if present else "absent", reason)
            parity.n_mismatches += 1
            computed.append(None)
            continue
        computed.append(online)
    differing = _differing(parity, scorer, batch, computed)
    parity.n_mismatches += len(differing)
    return [None if place in differing else online for place, online in enumerate(computed)]


def _differing(
    parity: Parity, scorer: Scorer, batch: "pa.RecordBatch", computed: Sequence[tuple[object, ...] | None]
) -> set[int]:
    """The rows of the batch with a feature that differs; by column, since a row has dozens."""
    places = [place for place, online in enumerate(computed) if online is not None]
    columns = zip(*(online for online in computed if online is not None), strict=True)
    differing: set[int] = set()
    for name, online in zip(scorer.contract.feature_names, columns, strict=bool(places)):
        offline = batch.column(offline_name(name)).take(places).to_pylist()
        for found in np.flatnonzero(~same_bits_by_row(offline, online)):
            place = places[found]
            parity.add(name, batch.column("application_id")[place].as_py(), offline[found], online[found])
            differing.add(place)
    return differing


def _compare_encodings(
    parity: Parity,
    batch: "pa.RecordBatch",
    offline: NDArray[np.float32],
    features: Sequence[tuple[object, ...] | None],
    scorer: Scorer,
) -> None:
    """Check that the batch path and the request path encode rows with equal features equally."""
    for number, row in enumerate(features):
        online = None if row is None else scorer.bundle.design_matrix.encode_row(row)
        if online is not None and online.tobytes() != offline[number].tobytes():
            application_id = batch.column("application_id")[number].as_py()
            parity.add("(encoding)", application_id, offline[number].tolist(), online[0].tolist())
            parity.n_mismatches += 1


def _compare_scores(parity: Parity, model: Model, served: Model, rows: Matrix) -> None:
    """Compare as requests score, one row, and as batches do, a block in either form."""
    judged = model.raw_scores(rows).astype(np.float64)
    alone = np.concatenate([served.raw_scores(row.reshape(1, -1)) for row in rows])
    for found in (alone, served.raw_scores(rows)):
        # unlike max(), it keeps a score that is not a number
        worst = np.maximum(parity.max_score_difference, np.abs(found - judged).max())
        parity.max_score_difference = float(worst)


def _rows(
    con: duckdb.DuckDBPyConnection, bundle: Bundle, sample_rows: int | None, snapshot: int
) -> "Iterator[pa.RecordBatch]":
    contract, lineage = bundle.contract, bundle.lineage
    inputs = ", ".join(f'inputs."{column.name}"' for column in contract.inputs)
    sample = ""
    if sample_rows is not None:
        sample = (
            f"qualify n_rows <= {sample_rows:d} or row_number() over ("
            "partition by date_trunc('month', inputs.decided_at) order by hash(inputs.application_id)"
            f") <= ceil({sample_rows:d} / n)"
        )
    reader = con.execute(
        f"""
        with inputs as (
            from {contract.tables.inputs_table} at (version => {snapshot:d}) where source = $1
        ), features as (
            from {contract.tables.features_table} at (version => {snapshot:d})
        ), months as (
            select count(distinct date_trunc('month', decided_at)) as n, count(*) as n_rows from inputs
        )
        select {inputs}, features.application_id is not null as _present, {offline_columns(contract, "features")}
        from inputs cross join months left join features on features.application_id = inputs.application_id
        {sample}
        """,
        [lineage.source],
    ).to_arrow_reader(batch_size=_BATCH_ROWS)
    yield from reader
