"""Write the simulated lender's files as Parquet, in chunks of borrowers."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from warehouse.raw import SIMULATED
from warehouse.sources.simulated.accounts import draw_accounts, statements
from warehouse.sources.simulated.applications import application_columns, draw_applications, draw_times
from warehouse.sources.simulated.borrowers import EDUCATIONS, Borrowers, draw_borrowers
from warehouse.sources.simulated.economy import MONTHS_OF_HISTORY, Economy, economy
from warehouse.sources.simulated.outcomes import default_log_odds, draw_defaults, outcome_columns
from warehouse.sources.simulated.simulation import Simulation

APPLICATIONS_A_BORROWER = 1.6
CHUNK_APPLICATIONS = 20_000
Columns = Mapping[str, NDArray[np.generic]]


def generate(simulation: Simulation, directory: Path) -> dict[str, Path]:
    """Write one Parquet file an entity to ``directory/<entity>/``, complete or not at all; returns their paths.

    10,000,000 applications with 248,000,000 statements took 0.48 GB and 200 s of processor time, loading 0.76 GB.
    """
    paths = {entity: directory / entity / simulation.file_name(entity) for entity in SIMULATED.entities}
    partial = {entity: path.with_name(f".partial-{path.name}") for entity, path in paths.items()}
    try:
        with ExitStack() as files:
            writers: dict[str, pq.ParquetWriter] = {}
            for tables in _chunks(simulation):
                for entity, table in tables.items():
                    if entity not in writers:
                        partial[entity].parent.mkdir(parents=True, exist_ok=True)
                        writers[entity] = files.enter_context(
                            pq.ParquetWriter(partial[entity], table.schema, compression="zstd")
                        )
                    writers[entity].write_table(table)
        for entity, path in paths.items():
            partial[entity].rename(path)
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)
    return paths


def _chunks(simulation: Simulation) -> Iterator[dict[str, pa.Table]]:
    world = economy(months=simulation.months, shock_ago=simulation.shock_ago)
    first_borrower = 1
    for chunk, first in enumerate(range(0, simulation.applications, CHUNK_APPLICATIONS)):
        n_applications = min(CHUNK_APPLICATIONS, simulation.applications - first)
        n_borrowers = max(1, round(n_applications / APPLICATIONS_A_BORROWER))
        # one generator a chunk: its content is independent of other chunks
        rng = np.random.default_rng([simulation.seed, chunk])
        yield {
            entity: _table(entity, columns)
            for entity, columns in _chunk(
                rng,
                world,
                application_ids=_ids(f"sim-{simulation.tag}-a", first + 1, n_applications),
                borrower_ids=_ids(f"sim-{simulation.tag}-b", first_borrower, n_borrowers),
            ).items()
        }
        first_borrower += n_borrowers


def _chunk(
    rng: np.random.Generator, world: Economy, *, application_ids: NDArray[np.str_], borrower_ids: NDArray[np.str_]
) -> dict[str, Columns]:
    borrowers = draw_borrowers(rng, world, len(borrower_ids))
    accounts = draw_accounts(rng, world, borrowers)
    times = draw_times(rng, world, borrowers, len(application_ids))
    applications = draw_applications(rng, world, borrowers, accounts, times)
    p_default, is_default = draw_defaults(rng, default_log_odds(world, borrowers, applications), applications)
    return {
        "applications": application_columns(
            rng, applications, borrowers, application_ids=application_ids, borrower_ids=borrower_ids
        ),
        "statements": statements(
            rng,
            world,
            accounts,
            opens_in=_opens_in(rng, times[0], times[1], len(borrower_ids)),
            borrower_ids=borrower_ids,
        ),
        "outcomes": outcome_columns(rng, world, applications, is_default, application_ids=application_ids),
        "demographics": _demographics(rng, borrowers, borrower_ids),
        "truth": {
            "application_id": application_ids,
            "p_default": p_default,
            "is_shock_period": world.is_shock[applications.month],
        },
    }


def _opens_in(
    rng: np.random.Generator, borrower: NDArray[np.int64], month: NDArray[np.int64], n_borrowers: int
) -> NDArray[np.int64]:
    """The month a borrower's account opens: 4 to 30 before the first application; for one in ten just after it."""
    first = np.full(n_borrowers, np.iinfo(np.int64).max)
    np.minimum.at(first, borrower, month)
    gap = np.where(rng.random(n_borrowers) < 0.1, -1, rng.integers(4, 31, n_borrowers))
    earliest = np.minimum(rng.integers(0, MONTHS_OF_HISTORY // 2, n_borrowers), first)
    opens_in: NDArray[np.int64] = np.maximum(first - gap, earliest)
    return opens_in


def _demographics(rng: np.random.Generator, borrowers: Borrowers, borrower_ids: NDArray[np.str_]) -> Columns:
    marital_status = np.where(
        borrowers.is_married, "married", np.where(rng.random(len(borrowers)) < 0.2, "divorced", "single")
    )
    return {
        "borrower_id": borrower_ids,
        "sex": np.where(borrowers.is_female, "female", "male"),
        "birth_year": borrowers.birth_year,
        "marital_status": marital_status,
        "education": EDUCATIONS[borrowers.education],
    }


def _ids(prefix: str, first: int, n: int) -> NDArray[np.str_]:
    return np.char.add(prefix, np.arange(first, first + n).astype(str))


def _table(entity: str, columns: Columns) -> pa.Table:
    """Arrow columns in the declared order; a missing number is null, timestamps have seconds."""
    arrays = []
    for name in SIMULATED.entities[entity]:
        values = columns[name]
        if values.dtype == np.dtype("datetime64[s]"):
            values = values.astype("datetime64[us]")
        arrays.append(pa.array(values, from_pandas=True))
    return pa.table(arrays, names=list(SIMULATED.entities[entity]))
