"""The processes that answer on one port: which of them live, and what each takes of the machine."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client import ProcessCollector
from prometheus_client.core import Metric

#: Where the workers of one ``loanlake serve`` add up what they count; unset where there is one.
COUNTERS = "PROMETHEUS_MULTIPROC_DIR"


def live_workers() -> list[int]:
    """Process ids of all workers; what dead ones said of the moment is taken away, what they counted stays."""
    if COUNTERS not in os.environ:
        return [os.getpid()]
    from prometheus_client.multiprocess import mark_process_dead

    known = {int(path.stem.rpartition("_")[2]) for path in Path(os.environ[COUNTERS]).glob("gauge_*.db")}
    alive = {pid for pid in known if pid == os.getpid() or _parent(pid) == os.getppid()}
    for pid in known - alive:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]
    return sorted(alive)


def process_metrics(workers: Iterable[int]) -> Iterator[Metric]:
    """CPU, memory, files and start of each worker, by the names of Prometheus's clients; nothing where /proc is not."""
    told: dict[str, Metric] = {}
    asked = os.getpid()
    collector = ProcessCollector(pid=lambda: asked, registry=None)
    for asked in workers:
        for found in collector.collect():
            metric = told.setdefault(found.name, Metric(found.name, found.documentation, found.type))
            for sample in found.samples:
                metric.add_sample(sample.name, {"pid": str(asked)}, sample.value)
    yield from told.values()


def _parent(pid: int) -> int | None:
    """None of a process that has ended: by its id alone a later process of the machine could be taken for it."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(parent)
