"""How many rows of a lender's files the last build set aside, and why (``staging.rows_set_aside``)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warehouse.readers.csv_lines import NOTE

if TYPE_CHECKING:
    import duckdb

_SHOWN_FILES = 3


@dataclass(frozen=True)
class Loss:
    """Rows set aside of one kind of file; ``files``: those with too many; ``reasons``: the three commonest."""

    source: str
    entity: str
    n_rows: int
    n_set_aside: int
    reasons: tuple[str, ...]
    max_share: float
    files: tuple[str, ...]

    @property
    def is_too_much(self) -> bool:
        """Whether training on the lender's rows must wait for a person's review."""
        return bool(self.files)

    def __str__(self) -> str:
        text = (
            f"{self.source} {self.entity}: {self.n_set_aside:,} of {self.n_rows:,} rows set aside "
            f"({100 * self.n_set_aside / self.n_rows:.3g} %): {'; '.join(self.reasons)}"
        )
        if not self.files:
            return text
        more = f" and {len(self.files) - _SHOWN_FILES} more" if len(self.files) > _SHOWN_FILES else ""
        return f"{text}. More than {100 * self.max_share:g} % of {', '.join(self.files[:_SHOWN_FILES])}{more}"


def losses(con: "duckdb.DuckDBPyConnection", source: str | None = None) -> list[Loss]:
    """Kinds of files with rows set aside, of one lender or all; empty before the first build."""
    import duckdb

    of_source = "($1 is null or source = $1)"
    try:
        found = con.execute(
            "select source, entity, sum(n_rows)::bigint, sum(n_set_aside)::bigint, max(max_share), "
            "list(file order by set_aside_share desc, file) "
            "filter (set_aside_share > max_share and not is_replaced and not is_accepted) "
            f"from staging.rows_set_aside where {of_source} group by source, entity having sum(n_set_aside) > 0 "
            "order by source, entity",
            [source],
        ).fetchall()
        reasons = con.execute(
            "with counted as (select source, entity, coalesce(column_name || ' ', '') || left(reason, 200) as why, "
            f"count(distinct (file, line)) as n from raw.quarantine where {of_source} and reason <> $2 group by all) "
            "select source, entity, format('{} ({:,})', why, n) from counted "
            "qualify row_number() over (partition by source, entity order by n desc, why) <= 3 "
            "order by source, entity, n desc, why",
            [source, NOTE],
        ).fetchall()
    except duckdb.CatalogException:
        return []
    return [
        Loss(
            source_found,
            entity,
            n_rows,
            n_set_aside,
            tuple(reason for lender, kind, reason in reasons if (lender, kind) == (source_found, entity)),
            max_share,
            tuple(files or ()),
        )
        for source_found, entity, n_rows, n_set_aside, max_share, files in found
    ]


def too_much_text(found: Sequence[Loss]) -> str:
    """Why training stops, and what a person can do."""
    return (
        f"{'; '.join(str(loss) for loss in found if loss.is_too_much)}. Declare the columns as the files have them and "
        "build again, load a corrected file of the same name, or accept the loss in the lender's file in "
        "warehouse/lenders/ (set_aside: max_share, accepted_files)"
    )
