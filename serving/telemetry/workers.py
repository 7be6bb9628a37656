"""The processes that answer on one port: which of them live, and what each takes of the machine."""

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
    """An empty directory for the workers' counters, which ``link`` names; what it named before is removed.

    It is not on the disk of the home. Workers map these files, and on a full disk the kernel kills a process (SIGBUS)
    that writes to an unallocated page of one. Workers were killed in this way because of a counter.
    """
    with suppress(OSError):  # the disk is full: then the counters of the previous run stay
        shutil.rmtree(link.resolve(), ignore_errors=True)
        link.unlink(missing_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="loanlake-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None))
    with suppress(OSError):
        link.symlink_to(directory)
    return directory


def live_workers() -> list[int]:
    """Process ids of all workers; what dead ones said of the moment is taken away, what they counted stays."""
    if COUNTERS not in os.environ:
        return [os.getpid()]
    from prometheus_client.multiprocess import mark_process_dead

    known = {int(path.stem.rpartition("_")[2]) for path in Path(os.environ[COUNTERS]).glob("gauge_*.db")}
    alive = {pid for pid in known if pid == os.getpid() or _parent(pid) == os.getppid()}
    for pid in known - alive:
        mark_process_dead(pid)
    return sorted(alive)


def process_metrics(workers: Iterable[int]) -> Iterator[Metric]:
    """CPU, memory, files and start of each worker, by the names of Prometheus's clients; nothing if /proc is not."""
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
