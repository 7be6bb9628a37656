"""Whether a file is still being written, by the system's answer: a sender may pause for any time."""

import fcntl
import os
import signal
import sys
from functools import cache
from pathlib import Path

#: File systems whose writers may be on other machines (`fuse` may be local, but is not trusted).
_REMOTE = ("nfs", "cifs", "smb", "fuse", "virtiofs", "9p", "ceph", "gluster", "lustre", "afs", "gpfs", "ocfs", "gfs")


def has_writer(path: Path) -> bool | None:
    """Whether any process has the file open for writing; None if the system cannot say.

    Linux grants a read lease only if no process has the file open for writing, including those of other users and
    containers; only to the owner and root, and only for this machine. Other files and systems give None.
    """
    if sys.platform != "linux":
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None  # its reader reports why it cannot be opened
    try:
        if _is_remote(os.fstat(descriptor).st_dev):
            return None
        # signals a writer that arrives during the lease; the default signal would end this process
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


@cache
def _is_remote(device: int) -> bool:
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return True
    kinds = [mount.rpartition(" - ")[2].split()[0] for mount in mounts if mount.split()[2] == number]
    return any(kind.startswith(_REMOTE) for kind in kinds)
