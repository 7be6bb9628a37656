"""``python -m benchmarks [NAME …]``: run the benchmarks named, or all, and print their ratios as one table.

A benchmark is a module here with ``run() -> list[Comparison]``; its docstring says what it measures and against what.
"""

import importlib
import sys
import time

from benchmarks.comparison import Comparison, table

BENCHMARKS = (
    "lake",
    *("features.expressions", "features.point_in_time", "features.feature_build"),
    *("monitoring.drift", "monitoring.estimates"),
    *("serving.reasons", "serving.scores", "serving.families", "batch"),
    *("whole_path.main_run", "whole_path.monitoring_day"),
)


def main(names: list[str]) -> int:
    """Run, print, and return the exit code."""
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        print(f"no benchmark is named {', '.join(unknown)}: there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    comparisons: list[Comparison] = []
    for name in names or BENCHMARKS:
        started = time.perf_counter()
        print(f"{name} …", file=sys.stderr, flush=True)
        comparisons += importlib.import_module(f"benchmarks.{name}").run()
        print(f"{name} took {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    print(table(comparisons))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
