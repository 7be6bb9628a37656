"""The processes that answer on one port: which are alive, and their use of resources."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client import ProcessCollector
from prometheus_client.core import Metric

#: Directory in which the workers of one ``loanlake serve`` sum their counters; unset with a single worker.
COUNTERS = "PROMETHEUS_MULTIPROC_DIR"
#: A file system in memory, on Linux.
_MEMORY = Path("/dev/shm")  # noqa: S108 - the directory made there is of this user alone


def new_counters(link: Path) -> Path:
    """An empty directory for the workers' counters, named by ``link``; removes the previous one.

    Not on the home's disk: if that is full, the kernel kills (SIGBUS) a worker that touches an unallocated page of a
    mapped file, as happened.
    """
    with suppress(OSError):  # the disk is full: the previous run's counters stay
        shutil.rmtree(link.resolve(), ignore_errors=True)
        link.unlink(missing_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="loanlake-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None))
    with suppress(OSError):
        link.symlink_to(directory)
    return directory


def live_workers() -> list[int]:
    """Process ids of all workers; dead ones lose their gauges and keep their counters."""
    if COUNTERS not in os.environ:
        return [os.getpid()]
    from prometheus_client.multiprocess import mark_process_dead

    known = {int(path.stem.rpartition("_")[2]) for path in Path(os.environ[COUNTERS]).glob("gauge_*.db")}
    alive = {pid for pid in known if pid == os.getpid() or _parent(pid) == os.getppid()}
    for pid in known - alive:
        mark_process_dead(pid)
    return sorted(alive)


def process_metrics(workers: Iterable[int]) -> Iterator[Metric]:
    """CPU, memory, files and start of each worker, under Prometheus's usual names; nothing without /proc."""
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
    """None for an ended process, whose id another one may have now."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(parent)
