#!/usr/bin/env python
"""One of the worker's services in the foreground: ``loanlake-service webserver|daemon|mlflow``.

`loanlake up` starts the same ones on one machine, behind a sign-in. Here a proxy in front of them must ask who comes in
(deploy/nginx/pages.conf): neither Dagster nor MLflow does.
"""

import os
import sys
from pathlib import Path

WEBSERVER_PORT = 3000
MLFLOW_PORT = 5000
#: Of the container: who may reach it is said outside.
ALL = "0.0.0.0"  # noqa: S104


def command(name: str) -> list[str]:
    """The program and its arguments, after the home is prepared for it."""
    import orchestration
    from orchestration.running.instance import prepare_dagster_home
    from warehouse.settings import Settings

    settings = Settings.from_environment()
    prepare_dagster_home(settings)  # also keeps the home private, and sets DAGSTER_HOME
    workspace = str(Path(orchestration.__path__[0]) / "workspace.yaml")
    scripts = Path(sys.executable).parent
    if name == "webserver":
        return [str(scripts / "dagster-webserver"), "-h", ALL, "-p", str(WEBSERVER_PORT), "-w", workspace]
    if name == "daemon":
        return [str(scripts / "dagster-daemon"), "run", "-w", workspace]
    settings.mlflow_artifacts.mkdir(parents=True, exist_ok=True)
    server = [sys.executable, "-m", "mlflow", "server", "--host", ALL, "--port", str(MLFLOW_PORT)]
    server += ["--backend-store-uri", settings.mlflow_uri, "--artifacts-destination", str(settings.mlflow_artifacts)]
    # the proxy checks the name and where a page comes from, and passes on localhost
    return [*server, "--workers", "1", "--allowed-hosts", "localhost,localhost:*,127.0.0.1:*"]


def main(arguments: list[str]) -> None:
    """Become the service, which then gets the container's signals."""
    if arguments not in (["webserver"], ["daemon"], ["mlflow"]):
        sys.exit(f"loanlake-service: webserver, daemon or mlflow: found {' '.join(arguments) or 'nothing'}")
    wanted = command(*arguments)
    # MLflow's runners of GenAI jobs are eight unused processes of 260 MB each
    os.execve(wanted[0], wanted, {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
