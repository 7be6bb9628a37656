"""``dagster-webserver`` on a Unix socket, for which it has no option: ``python -m … SOCKET OPTION…``."""

import functools
import sys

import uvicorn
from dagster_webserver.cli import cli

from orchestration.doors.backend import NO_HOST


def main(arguments: list[str]) -> None:
    """Serve Dagster's pages on the socket of the first argument; the others are dagster-webserver's own."""
    socket, *options = arguments
    uvicorn.run = functools.partial(uvicorn.run, uds=socket)
    cli([*options, "--host", NO_HOST, "--port", "1"])


if __name__ == "__main__":
    main(sys.argv[1:])
