"""Ports for the servers that tests start.

A port is free only until somebody takes it, and a server binds its own seconds after it was chosen. So a process keeps
the ports that it was given until it ends, by a locked file each: no other process of tests on this machine is given one
of them. None is one that the kernel gives to outgoing connections (32768 and above), which would be taken when a server
that was stopped comes back.
"""

import fcntl
import random
import socket
import tempfile
from io import FileIO
from pathlib import Path

_PORTS = range(20_000, 32_000)
_kept: list[FileIO] = []


def free_port() -> int:
    """A port that nothing listens on now, and that nobody else's test is given while this process lives."""
    directory = Path(tempfile.gettempdir()) / "loanlake-test-ports"
    directory.mkdir(exist_ok=True)
    for port in random.sample(_PORTS, len(_PORTS)):
        mark = FileIO(directory / str(port), "a")
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        _kept.append(mark)  # the lock ends with the file
        return port
    raise AssertionError(f"none of the ports {_PORTS[0]} to {_PORTS[-1]} is free")
