#!/usr/bin/env python
"""One of the worker's services in the foreground: ``loanlake-service webserver|daemon|mlflow``, or a check: ``alive``.

`loanlake up` starts the same ones on one machine, behind a sign-in. Here a proxy in front of them must ask who comes in
(deploy/nginx/pages.conf): neither Dagster nor MLflow does.
"""

import os
import sys
from pathlib import Path

WEBSERVER_PORT = 3000
MLFLOW_PORT = 5000
#: Of the container: who may reach it is said outside.
ALL = "0.0.0.0"  # noqa: S104  # a container's port is published or not by who runs it


#: MLflow's runners of GenAI jobs are eight unused processes of 260 MB each.
WITHOUT_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def command(name: str) -> tuple[list[str], dict[str, str]]:
    """The program with its arguments, and what it needs in its environment, after the home is prepared for it."""
    import orchestration
    from orchestration.running.instance import prepare_dagster_home
    from orchestration.services import only_daemon
    from warehouse.settings import Settings

    settings = Settings.from_environment()
    prepare_dagster_home(settings)  # also keeps the home private, and sets DAGSTER_HOME
    workspace = str(Path(orchestration.__path__[0]) / "workspace.yaml")
    scripts = Path(sys.executable).parent
    if name == "webserver":
        return [str(scripts / "dagster-webserver"), "-h", ALL, "-p", str(WEBSERVER_PORT), "-w", workspace], {}
    if name == "daemon":
        return only_daemon.command(), {}
    if name == "alive":  # of its own, a probe would not know where a team's Dagster has its storage
        return [str(scripts / "dagster-daemon"), "liveness-check"], {}
    settings.mlflow_artifacts.mkdir(parents=True, exist_ok=True)
    server = [sys.executable, "-m", "mlflow", "server", "--host", ALL, "--port", str(MLFLOW_PORT), "--workers", "1"]
    # the proxy checks the name and where a page comes from, and passes on localhost
    server += ["--allowed-hosts", "localhost,localhost:*,127.0.0.1:*"]
    # a team's address has a password, which the list of processes would show
    stores = {
        "MLFLOW_BACKEND_STORE_URI": settings.mlflow_uri,
        "MLFLOW_ARTIFACTS_DESTINATION": settings.mlflow_artifact_root,
    }
    return server, stores | WITHOUT_JOBS


def main(arguments: list[str]) -> None:
    """Become the service, which then gets the container's signals."""
    if arguments not in (["webserver"], ["daemon"], ["mlflow"], ["alive"]):
        sys.exit(f"loanlake-service: webserver, daemon, mlflow or alive: found {' '.join(arguments) or 'nothing'}")
    wanted, environment = command(*arguments)
    os.execve(wanted[0], wanted, os.environ | environment)  # noqa: S606  # of command() alone


if __name__ == "__main__":
    main(sys.argv[1:])
