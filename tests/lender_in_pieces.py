"""A small simulated lender whose files come in pieces, out of order, with late rows, restatements and bad lines."""

from collections.abc import Iterator
from pathlib import Path

import duckdb

from warehouse.raw import SOURCES
from warehouse.settings import Settings
from warehouse.sources import ingest_files
from warehouse.sources.simulated.generate import generate
from warehouse.sources.simulated.simulation import Simulation

_KEYS = {"applications": "application_id", "statements": "borrower_id || statement_on", "outcomes": "application_id"}
#: What a restatement says instead: other months, cohorts, borrowers, answers, and times of knowing them.
_RESTATED = {
    "applications": "decided_at + interval 40 day as decided_at, 'elsewhere' as region, "
    "case when hash(application_id) % 3 = 0 then min(borrower_id) over () else borrower_id end as borrower_id, "
    "case when hash(application_id) % 5 = 0 then 'many' else cast(requested_amount as text) end as requested_amount",
    "statements": "balance + 100 as balance, months_past_due + 1 as months_past_due, "
    "known_at + interval 20 day as known_at",
    "outcomes": "not is_default as is_default, known_at + to_days(cast(hash(application_id) % 200 as int)) as known_at",
}
_LOAN = {"term": " 36 months", "purpose": "car", "sub_grade": "B4", "int_rate": "12.5"}
_STATUSES = [
    {"loan_status": "Current", "last_pymnt_d": "Mar-2010"},
    {"loan_status": "Charged Off", "last_pymnt_d": "Jun-2010"},
    {"loan_status": "Fully Paid", "last_pymnt_d": "Sep-2011"},
    {"loan_status": "Charged Off", "last_pymnt_d": "Dec-2011"},
]


def load_pieces(
    settings: Settings, directory: Path, *, n_pieces: int, seed: int, applications: int = 600
) -> Iterator[int]:
    """Load one piece after the other, and yield its number once it is in the raw tables.

    The first piece has all but a few rows; each later one has four in a thousand, whatever their dates, and restates
    three in a thousand of those that came before.
    """
    paths = generate(Simulation(applications=applications, months=30, seed=seed), directory)
    for piece in range(n_pieces):
        for entity, key in _KEYS.items():
            path = directory / f"{entity}-{piece}.csv"
            part = f"greatest({n_pieces - 1} - cast(hash({key} || '{seed}') % 1000 // 4 as int), 0)"
            restated = f"hash({key} || '{seed} {piece}') % 1000 < 3"
            duckdb.execute(
                f"copy (select * from '{paths[entity]}' where {part} = {piece} union all by name "
                f"select * replace ({_RESTATED[entity]}) from '{paths[entity]}' where {part} < {piece} and {restated}) "
                f"to '{path}' (header)"
            )
            ingest_files("simulated", [path], settings, entity)
        loans = directory / f"loans-{piece}.csv"
        loans.write_text(_loans(piece))
        ingest_files("lending_club", [loans], settings)
        yield piece


def _loans(piece: int) -> str:
    """Loans of which an outcome appears, changes, and is taken back; the newest payment dates the file as a whole."""
    columns = SOURCES["lending_club"].entities["loans"]
    loans = [
        {
            **_LOAN,
            "id": str(number),
            "loan_amnt": "1000",
            "issue_d": f"Mar-{2005 + number % 4}",
            **_STATUSES[(number + piece) % 3 + (piece == 2)],
        }
        for number in range(1 + piece, 13)
    ]
    lines = [",".join(loan.get(column, "") for column in columns) for loan in loans]
    return "\n".join([",".join(columns), *lines]) + "\n"
