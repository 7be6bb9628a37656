"""How much memory this process may take."""

import os
from pathlib import Path

#: Where a container's limit is: version 2 of control groups, then version 1.
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def memory_bytes(limits: tuple[Path, ...] = _LIMITS) -> int:
    """The machine's memory, or the container's share of it where that is less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    texts = [path.read_text().strip() for path in limits if path.exists()]
    return min([machine, *(int(text) for text in texts if text.isdigit())])
