"""Compare two values of each column of each decision, online and offline, in one pass.

Values differ by a bit: null is not zero, ``0.0`` is not ``-0.0``; all NaN are equal, as in
``ml.bundle.logged_values.same_bits``.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from ml.monitoring.limits import SkewKind, SkewRule

#: The column name of the row that counts decisions with any difference.
ANY = "(any)"
_MOST_EXAMPLES = 3
_DOUBLES = {"double", "float"}
_WHOLE_NUMBERS = {"integer", "bigint", "smallint"}
_TIMES = {"timestamp", "date"}


@dataclass(frozen=True)
class Pair:
    """A column, its type in the contract, and the SQL of its two values."""

    name: str
    data_type: str
    online: str
    offline: str

    @property
    def differs(self) -> str:
        """SQL that is true if the two differ, else false or null."""
        differs = f"{self.online} is distinct from {self.offline}"
        if self.data_type in _DOUBLES:
            differs += f" or (not isnan({self.online}) and signbit({self.online}) <> signbit({self.offline}))"
        return f"({differs})"

    @property
    def distance(self) -> str:
        """SQL of the distance of two present values, times in days; null if undefined."""
        if self.data_type in _TIMES:
            distance = f"abs(epoch({self.online}) - epoch({self.offline})) / 86400"
        elif self.data_type in _DOUBLES | _WHOLE_NUMBERS:
            distance = f"abs({self.online}::double - {self.offline}::double)"
        else:
            return "null::double"
        return f"case when isfinite({distance}) then {distance} end"


@dataclass(frozen=True)
class FeatureSkew:
    """One row of ``monitoring.feature_skew``, without its owner and time.

    ``n_missing_online``, ``n_missing_offline``: decisions with the value on the other side only. Distances are over
    decisions with two different values, times in days; None without any. ``mean_age_days``: age of the history used,
    for the row of any column of ``history_freshness``. ``different_share_limit``: above it the share is an alert; None
    if not judged. ``lake_snapshot``: until which it is valid.
    """

    month: date
    kind: SkewKind
    column_name: str
    n_decisions: int
    n_different: int
    different_share: float
    different_share_limit: float | None
    n_missing_online: int
    n_missing_offline: int
    mean_absolute_difference: float | None
    max_absolute_difference: float | None
    mean_age_days: float | None
    examples: str
    lake_snapshot: int


@dataclass
class Tally:
    """Counts of one column and month, summed over batches."""

    n_decisions: int = 0
    n_different: int = 0
    n_missing_online: int = 0
    n_missing_offline: int = 0
    n_distances: int = 0
    total_distance: float = 0.0
    max_distance: float | None = None
    total_age_days: float | None = None
    examples: tuple[str, ...] = ()

    def add(self, other: "Tally") -> None:
        """Add the counts of another batch."""
        self.n_decisions += other.n_decisions
        self.n_different += other.n_different
        self.n_missing_online += other.n_missing_online
        self.n_missing_offline += other.n_missing_offline
        self.n_distances += other.n_distances
        self.total_distance += other.total_distance
        self.max_distance = max((d for d in (self.max_distance, other.max_distance) if d is not None), default=None)
        if other.total_age_days is not None:
            self.total_age_days = (self.total_age_days or 0.0) + other.total_age_days
        self.examples = tuple(sorted({*self.examples, *other.examples})[:_MOST_EXAMPLES])

    def row(self, month: date, kind: SkewKind, column_name: str, lake_snapshot: int) -> FeatureSkew:
        """The row of the monitoring table."""
        return FeatureSkew(
            month=month,
            kind=kind,
            column_name=column_name,
            n_decisions=self.n_decisions,
            n_different=self.n_different,
            different_share=self.n_different / self.n_decisions,
            different_share_limit=SkewRule().limit(kind, self.n_decisions, of_any_column=column_name == ANY),
            n_missing_online=self.n_missing_online,
            n_missing_offline=self.n_missing_offline,
            mean_absolute_difference=self.total_distance / self.n_distances if self.n_distances else None,
            max_absolute_difference=self.max_distance,
            mean_age_days=None if self.total_age_days is None else self.total_age_days / self.n_decisions,
            examples=json.dumps(list(self.examples)),
            lake_snapshot=lake_snapshot,
        )


#: By month and column.
Tallies = dict[tuple[date, str], Tally]


def tally(
    con: duckdb.DuckDBPyConnection,
    relation: str,
    pairs: Sequence[Pair],
    *,
    parameters: Sequence[object] = (),
    age_days: str = "null::double",
) -> Tallies:
    """Compare every pair over every row of ``relation``, which has ``decision_id`` and ``month``.

    ``relation``: text after ``from``. ``age_days``: SQL of the age of the history that a decision used.
    """
    anything = " or ".join(pair.differs for pair in pairs)
    members = [
        _member(anything, "null::double", "false", "false", age_days),
        *(
            _member(
                pair.differs,
                pair.distance,
                f"({pair.online} is null and {pair.offline} is not null)",
                f"({pair.online} is not null and {pair.offline} is null)",
                "null::double",
            )
            for pair in pairs
        ),
    ]
    rows = con.execute(
        f"select month, count(*), {', '.join(members)} from {relation} group by month order by month", list(parameters)
    ).fetchall()
    names = [ANY, *(pair.name for pair in pairs)]
    return {
        (month, name): Tally(**{**found, "n_decisions": n_decisions, "examples": tuple(found["examples"] or ())})
        for month, n_decisions, *columns in rows
        for name, found in zip(names, columns, strict=True)
    }


def tally_equal(con: duckdb.DuckDBPyConnection, relation: str, pairs: Sequence[Pair]) -> Tallies:
    """As :func:`tally`, of pairs that hardly ever differ: they are counted one by one only if any does.

    Of 100,000 decisions and 68 features without a difference: .4 s of processor time in place of 5.5.
    """
    anything = " or ".join(pair.differs for pair in pairs)
    rows = con.execute(
        f"select month, count(*), count(*) filter (where {anything}) from {relation} group by month order by month"
    ).fetchall()
    if any(n_different for *_, n_different in rows):
        return tally(con, relation, pairs)
    names = [ANY, *(pair.name for pair in pairs)]
    return {(month, name): Tally(n_decisions=n_decisions) for month, n_decisions, _ in rows for name in names}


def merge(into: Tallies, other: Tallies) -> None:
    """Add one batch's counts to the sum."""
    for key, found in other.items():
        into.setdefault(key, Tally()).add(found)


def rows_of(tallies: Tallies, kind: SkewKind, *, lake_snapshot: int) -> tuple[FeatureSkew, ...]:
    """The table's rows, by month: the row of any column first, then the columns in contract order."""
    return tuple(found.row(month, kind, name, lake_snapshot) for (month, name), found in tallies.items())


def columns_that_differ(rows: Iterable[FeatureSkew]) -> list[FeatureSkew]:
    """Rows of single columns that differ anywhere, the most frequent first."""
    found = [row for row in rows if row.n_different and row.column_name != ANY]
    return sorted(found, key=lambda row: (-row.n_different, row.column_name, row.month))


def _member(differs: str, distance: str, missing_online: str, missing_offline: str, age_days: str) -> str:
    return f"""{{
        'n_different': count(*) filter (where {differs}),
        'n_missing_online': count(*) filter (where {missing_online}),
        'n_missing_offline': count(*) filter (where {missing_offline}),
        'n_distances': count({distance}) filter (where {differs}),
        'total_distance': coalesce(sum({distance}) filter (where {differs}), 0),
        'max_distance': max({distance}) filter (where {differs}),
        'total_age_days': sum({age_days}),
        'examples': min(decision_id, {_MOST_EXAMPLES}) filter (where {differs})
    }}"""
