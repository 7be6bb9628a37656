"""``loanlake run simulated`` in an empty home, against its own SQL and fit bare in one process.

The run is everything: the lender's files are generated and loaded, 54 tables built and tested, a model trained, judged,
registered and published, every application scored, and all of it monitored; each process's start is included. The peer
(:mod:`benchmarks.whole_path.bare_path`) has none of that. The project's aim is at most twice the peer. Both take turns,
twice unless ``LOANLAKE_BENCH_ROUNDS`` says otherwise; the peer reads the home that the run has made.
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.comparison import Comparison
from benchmarks.whole_path.homes import LOANLAKE
from benchmarks.whole_path.processes import Took, timed


def run() -> list[Comparison]:
    """Medians of the rounds."""
    rounds = [_round() for _ in range(int(os.environ.get("LOANLAKE_BENCH_ROUNDS") or 2))]
    figures: list[tuple[str, Callable[[Took], float]]] = [
        ("time", lambda took: took.seconds),
        ("processor time", lambda took: took.processor_seconds),
    ]
    return [
        Comparison(
            f"main run of the simulated lender, empty home: {name}",
            "its SQL and fit, bare in one process",
            "s",
            statistics.median(figure(ours) for ours, _ in rounds),
            statistics.median(figure(bare) for _, bare in rounds),
            higher_is_better=False,
        )
        for name, figure in figures
    ]


def _round() -> tuple[Took, Took]:
    with tempfile.TemporaryDirectory(prefix="loanlake-bench-") as directory:
        home = str(Path(directory) / "home")
        ours = timed([LOANLAKE, "run", "simulated"], {"LOANLAKE_HOME": home})
        bare = timed([sys.executable, "-m", "benchmarks.whole_path.bare_path", home], {"LOANLAKE_HOME": home})
    for what, took in (("main run", ours), ("bare", bare)):
        print(f"  {what}: {took.seconds:.1f} s, {took.processor_seconds:.1f} s of processor time", file=sys.stderr)
    print(f"  {bare.output.splitlines()[-1]}", file=sys.stderr)
    return ours, bare
