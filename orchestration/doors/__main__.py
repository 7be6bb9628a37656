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

    async def by_port(scope: Scope, receive: Receive, send: Send) -> None:
        await doors[scope["server"][1]](scope, receive, send)

    config = uvicorn.Config(
        by_port,
        access_log=False,  # addresses contain the secrets of links
        log_level="warning",
        lifespan="off",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[socket.create_server(("127.0.0.1", port)) for port in doors])


if __name__ == "__main__":
    serve()
