"""The process of all doors: ``python -m orchestration.doors``; `loanlake up` starts it."""

import socket
from pathlib import Path

import click
import uvicorn
from starlette.types import Receive, Scope, Send

from orchestration.doors.backend import Backend
from orchestration.doors.door import Door
from orchestration.doors.reports import reports_app
from orchestration.doors.rules import dagster_rule, mlflow_rule, reading_only
from orchestration.doors.sign_in import SignIn
from warehouse.files.private_files import keep_private
from warehouse.settings import Settings


class _ByPort:
    def __init__(self, doors: dict[int, Door]) -> None:
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._doors[scope["server"][1]](scope, receive, send)


@click.command()
@click.option("--dagster", nargs=2, type=(int, Path), required=True, metavar="PORT SOCKET")
@click.option("--mlflow", nargs=2, type=(int, Path), required=True, metavar="PORT SOCKET")
@click.option("--reports", type=int, required=True, metavar="PORT")
def serve(dagster: tuple[int, Path], mlflow: tuple[int, Path], reports: int) -> None:
    """Listen on the three ports of 127.0.0.1 and pass on what is allowed, until SIGTERM."""
    settings = Settings.from_environment()
    keep_private(settings)
    sign_in = SignIn(settings)
    doors = {
        dagster[0]: Door("Dagster", Backend("Dagster", dagster[1]), sign_in, dagster_rule, health="/server_info"),
        mlflow[0]: Door("MLflow", Backend("MLflow", mlflow[1]), sign_in, mlflow_rule, health="/health"),
        reports: Door("Reports", reports_app(settings), sign_in, reading_only),
    }
    config = uvicorn.Config(
        _ByPort(doors),
        access_log=False,  # addresses contain the secrets of links
        log_level="warning",
        lifespan="off",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[_listen(port) for port in doors])


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    return listening


if __name__ == "__main__":
    serve()
