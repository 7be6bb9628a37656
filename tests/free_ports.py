"""Ports for the servers that tests start.

A port is free only until somebody takes it, and a server binds its own seconds after it was chosen. So no two processes
of one test run choose from the same ports, no process chooses one twice in a row, and none is one that the kernel gives
to outgoing connections (32768 and above), which would be taken when a server that was stopped comes back.
"""

import itertools
import os
import random
import socket

_FIRST, _LAST = 20_000, 32_000
_MOST_PROCESSES = 16


def _of_this_process() -> range:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    each = (_LAST - _FIRST) // _MOST_PROCESSES
    first = _FIRST + each * (int(worker.removeprefix("gw")) % _MOST_PROCESSES)
    return range(first, first + each)


_ports = list(_of_this_process())
# another run of the tests on this machine starts elsewhere
random.shuffle(_ports)
_next = itertools.cycle(_ports)


def free_port() -> int:
    """A port that nothing listens on now, and that no other process of this test run is given."""
    for port in itertools.islice(_next, len(_ports)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"all of {len(_ports)} ports from {min(_ports)} are taken")
