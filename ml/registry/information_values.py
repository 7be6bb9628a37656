"""The information value of every feature of a scorecard, and ``models.information_values``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from ml.bundle.bundle import Bundle
from ml.families.linear.scorecard import PointsModel, Scorecard
from ml.families.linear.scorecard_table import Bins, information_value
from warehouse.lake.connection import connect, writer
from warehouse.lake.tables import program_tables
from warehouse.settings import Settings

TABLE = "models.information_values"


@dataclass(frozen=True, kw_only=True)
class InformationValue:
    """How well a feature's bins part defaults from other rows, alone.

    ``n_bins``: bins of values that have rows. ``n``: rows that the card was made from, each counted once.
    """

    feature: str
    information_value: float
    n_bins: int
    n: int
    missing_share: float


def information_values(bundle: Bundle) -> tuple[InformationValue, ...]:
    """Of every feature that a scorecard was offered, the highest first; empty for another family.

    A category's bins are its values with a bin of their own, all others together, and those missing.
    """
    if bundle.family is not Scorecard:
        return ()
    model = bundle.read_model()
    if not isinstance(model, PointsModel):
        raise TypeError(f"a scorecard's bundle must hold a card: found {type(model).__name__}")
    columns, found = iter(model.columns), []
    for feature in bundle.design_matrix.features:
        of_feature = [next(columns) for _ in feature.columns]
        bins = categories(of_feature) if feature.kind == "categorical" else _counts(of_feature[0])
        n = sum(n_rows for n_rows, _ in bins)
        found.append(
            InformationValue(
                feature=feature.name,
                information_value=information_value(*zip(*bins, strict=True)),
                n_bins=sum(n_rows > 0 for n_rows, _ in bins[:-1]),
                n=n,
                missing_share=bins[-1][0] / n if n else 0.0,
            )
        )
    return tuple(sorted(found, key=lambda each: -each.information_value))


def record_information_values(settings: Settings, bundle: Bundle, *, name: str, version: int) -> None:
    """Store those of a registered scorecard, once; does nothing for another family."""
    values = information_values(bundle)
    with connect(settings) as con:
        ((n_stored,),) = con.execute(
            f"select count(*) from {TABLE} where model_name = $1 and model_version = $2", [name, version]
        ).fetchall()
    if not values or n_stored:
        return
    trained_at = datetime.fromisoformat(bundle.lineage.trained_at).replace(tzinfo=None)
    with writer(f"information values of {name} version {version}", settings) as con:
        insert_information_values(
            con, values, source=bundle.lineage.source, measured_at=trained_at, model_name=name, model_version=version
        )


def insert_information_values(
    con: duckdb.DuckDBPyConnection, values: Sequence[InformationValue], **of_all: object
) -> None:
    """Add rows in one statement; ``of_all``: the other columns of the table, null where not given."""
    import pyarrow as pa

    types = program_tables()[TABLE]
    rows: list[dict[str, Any]] = [dict.fromkeys(types) | vars(value) | of_all for value in values]
    con.register("information_values", pa.Table.from_pylist(rows))
    casts = ", ".join(f"{column}::{data_type} as {column}" for column, data_type in types.items())
    con.execute(f"insert into {TABLE} by name select {casts} from information_values")
    con.unregister("information_values")


def _counts(bins: Bins) -> list[tuple[int, int]]:
    """Rows and defaults by bin, those of missing values last."""
    return list(zip(bins.n_rows, bins.n_defaults, strict=True))


def categories(columns: Sequence[Bins]) -> list[tuple[int, int]]:
    """The same of a category's columns of 0 and 1; a column of one bin has no value of its own."""
    own = [_counts(bins)[1] for bins in columns if len(bins.edges) == 1]
    *known, missing = _counts(columns[0])
    n_rows, n_defaults = (sum(counts[place] for counts in known) - sum(each[place] for each in own) for place in (0, 1))
    return [*own, (n_rows, n_defaults), missing]
