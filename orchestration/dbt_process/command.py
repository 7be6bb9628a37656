"""What Dagster starts in dbt's place: hands the command to the process that has dbt imported, and ends as dbt ends.

``python command.py ARGUMENT…``; see ``ready.py``. Where no such process is, or it ended before the command
began, this process becomes dbt. Only the standard library's quick modules: it starts in 20 ms.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path

#: Environment variable: the socket of the process that has dbt imported.
SOCKET = "READY_DBT_SOCKET"
_FORWARDED = (signal.SIGINT, signal.SIGTERM)


def run_ready(arguments: list[str]) -> int | None:
    """Run dbt with these arguments in a fork of the ready process; its exit code, or None if it did not begin."""
    address = os.environ.get(SOCKET)
    if not address:
        return None
    # until they can be forwarded: the fork would outlive this process
    signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address)
            # it works on this process's output, in its directory and environment, and writes for the same readers
            socket.send_fds(connection, [b"\0"], [1, 2])
            os.umask(mask := os.umask(0o077))  # there is no way to only ask for it
            order = {
                "arguments": arguments,
                "directory": str(Path.cwd()),
                "environment": dict(os.environ),
                "umask": mask,
            }
            answers = connection.makefile("rw")
            answers.write(json.dumps(order) + "\n")
            answers.flush()
            process = int(answers.readline() or 0)
            if not process:
                return None
            for number in _FORWARDED:
                signal.signal(number, lambda found, _frame: os.kill(process, found))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)
            # without an answer it was killed
            return int(answers.readline() or 1)
    except OSError:
        return None
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)


if __name__ == "__main__":
    code = run_ready(sys.argv[1:])
    if code is None:
        dbt = str(Path(sys.executable).with_name("dbt"))
        os.execv(dbt, [dbt, *sys.argv[1:]])  # noqa: S606  # dbt, of this environment
    sys.exit(code)
