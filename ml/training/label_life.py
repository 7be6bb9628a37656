"""Whether a lender's loans can have labels at all: a dated loan needs a planned life, or its lender a label window."""

from dataclasses import dataclass

import duckdb

from warehouse.errors import TrainingSetError


@dataclass(frozen=True)
class NoLife:
    """Loans of a lender with dates and without a label window that have no ``term_months``: none is ever a label."""

    source: str
    n_loans: int
    n_all: int

    @property
    def is_whole(self) -> bool:
        """Whether no loan of the lender has a term."""
        return self.n_loans == self.n_all

    @property
    def text(self) -> str:
        """What was required, and what was found."""
        return (
            f"a loan with a date of decision needs term_months, or its lender label.window_months, to have a label: "
            f"found {self.n_loans:,} of {self.n_all:,} loans of {self.source} without a term, and no window"
        )

    @property
    def remedy(self) -> str:
        """The key to set."""
        return (
            f"set `label: {{window_months: 12}}` in warehouse/lenders/{self.source}.yml (a default within this time "
            "after the decision counts), or give the planned life as term_months in the staging model; then build again"
        )


def loans_without_a_life(con: duckdb.DuckDBPyConnection, source: str) -> NoLife | None:
    """The loans that can never have a label, by the last build; None if there are none."""
    n_loans, n_all = con.execute(
        "select count(*) filter (applications.term_months is null), count(*) "
        "from core.int_applications as applications "
        "inner join core.int_lenders as lenders on lenders.source = applications.source "
        "where applications.source = ? and lenders.is_dated and lenders.label_window_months is null",
        [source],
    ).fetchall()[0]
    return NoLife(source, n_loans, n_all) if n_loans else None


def require_a_life(con: duckdb.DuckDBPyConnection, source: str) -> None:
    """Raises TrainingSetError if no loan of the lender can ever have a label."""
    found = loans_without_a_life(con, source)
    if found is not None and found.is_whole:
        raise TrainingSetError(f"{found.text}. To do: {found.remedy}")
