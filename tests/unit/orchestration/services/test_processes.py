"""`loanlake up` with small stand-ins: processes that listen, end, or start others."""

import os
import signal
import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from orchestration.services.processes import Service, log_of, require_free_ports, run_together, services
from tests.free_ports import free_port
from warehouse.errors import ServiceError, SettingError
from warehouse.settings import Ports, Settings


def web(name: str = "Web") -> Service:
    port = free_port()
    return Service(
        name, [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], port, "/", "--web-port"
    )


def stop_when(said: list[str], text: str, number: int = signal.SIGINT) -> None:
    def wait() -> None:
        deadline = time.monotonic() + 20
        while not any(text in line for line in said) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    threading.Thread(target=wait, daemon=True).start()


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_each_url_is_said_once_it_answers_and_one_signal_stops_all(home: Settings, number: int) -> None:
    first, second = web("First"), web("Second")
    said: list[str] = []
    stop_when(said, "all ready", number)

    run_together([first, second], home, said.append)

    assert f"First          {first.url}" in said
    assert f"Second         {second.url}" in said
    require_free_ports([first, second])


def test_what_a_service_started_is_stopped_with_it(home: Settings, tmp_path: Path) -> None:
    """Prevents Dagster's code servers from outliving `loanlake up`."""
    child = tmp_path / "child"
    script = (
        "import pathlib, subprocess, sys, time\n"
        f"process = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(child)!r}).write_text(str(process.pid))\n"
        "time.sleep(60)\n"
    )
    said: list[str] = []
    server = web()

    def stop_after_child() -> None:
        while not child.exists() or not child.read_text():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop_after_child, daemon=True).start()
    run_together([server, Service("Parent", [sys.executable, "-c", script])], home, said.append)

    # a signal was sent; the kernel may take a moment to end the process
    deadline = time.monotonic() + 10
    while (runs := is_running(int(child.read_text()))) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not runs


def test_a_service_that_ends_stops_the_others_and_shows_its_last_words(home: Settings) -> None:
    server = web()
    broken = Service("Broken", [sys.executable, "-c", "import sys; print('no database'); sys.exit(3)"])

    with pytest.raises(ServiceError, match=r"(?s)Broken ended by itself with exit code 3.*no database"):
        run_together([server, broken], home, lambda _: None)

    require_free_ports([server])
    assert log_of(broken, home).read_text().strip() == "no database"


def test_a_service_that_nothing_needs_is_started_again(home: Settings, tmp_path: Path) -> None:
    """Prevents a killed reading of streams from stopping the API."""
    starts = tmp_path / "starts"
    script = (
        f"import pathlib, time; starts = pathlib.Path({str(starts)!r})\n"
        "n = starts.read_text() if starts.exists() else ''; starts.write_text(n + 'x'); time.sleep(60 * len(n))"
    )
    said: list[str] = []
    fragile = Service("Streams", [sys.executable, "-c", script], is_restarted=True)

    def stop_after_two() -> None:
        while not starts.exists() or starts.read_text() != "xx":
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop_after_two, daemon=True).start()
    run_together([fragile], home, said.append)

    assert said[-2:] == ["Streams ended by itself with exit code 0, and is started again", "stopping …"]


def test_a_port_in_use_names_the_service_and_the_option(home: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(SettingError, match=rf"{port} for Web \(choose another with --web-port\)"):
            run_together([Service("Web", ["false"], port, "/", "--web-port")], home, lambda _: None)


def test_up_starts_api_dagster_daemon_mlflow_and_reports(home: Settings) -> None:
    wanted = services(home, Path("/sockets"), Ports(1, 2, 3, 4))

    assert [(service.name, service.port) for service in wanted] == [
        ("API", 2),
        ("Reports", 4),
        ("Dagster", 1),
        ("MLflow", 3),
        ("Dagster daemon", None),
    ]


def test_the_password_of_a_team_is_in_no_command(home: Settings) -> None:
    """The list of processes shows commands to every user of the machine."""
    team = replace(home, catalog="host=db user=loans password=s3cret-word dbname=lake", lake_data="s3://lender/lake")

    wanted = services(team, Path("/sockets"), Ports(1, 2, 3, 4))

    assert [service.name for service in wanted if "s3cret-word" in " ".join(service.command)] == []
    (mlflow,) = [service.environment for service in wanted if service.name == "MLflow"]
    assert mlflow["MLFLOW_BACKEND_STORE_URI"] == (
        "postgresql+psycopg2://loans:s3cret-word@db/lake?options=-csearch_path%3Dmlflow"
    )
    assert mlflow["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://lender/lake-mlflow"


def test_mlflow_is_started_silent_and_alone(home: Settings) -> None:
    """A bank's network hears nothing from us, whatever the parent's environment says; and no idle job runners."""
    mlflow = next(
        service for service in services(home, Path("/sockets"), Ports(1, 2, 3, 4)) if service.name == "MLflow"
    )

    assert mlflow.environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert mlflow.environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


@pytest.mark.parametrize("name", ["Dagster", "MLflow"])
def test_no_tool_opens_a_port_of_its_own(home: Settings, name: str) -> None:
    """Their ports had no login: any page in a browser, and any user of the machine, could launch runs."""
    wanted = services(home, Path("/sockets"), Ports())
    command = list(next(service for service in wanted if service.name == name).command)

    assert any(f"/sockets/{name.lower()}" in argument for argument in command)
    assert not {"3000", "5000"} & set(command)


def test_it_says_what_it_waits_for_and_then_that_all_is_ready(home: Settings) -> None:
    """Decisions became rows a minute after "all up": nothing said so."""
    looks = iter([None, None, "runs: decisions become rows"])
    server = web()
    daemon = Service(
        "Daemon",
        [sys.executable, "-c", "import time; time.sleep(60)"],
        readiness=lambda: next(looks),
        purpose="decisions become rows once it runs",
    )
    said: list[str] = []
    stop_when(said, "all ready")

    run_together([server, daemon], home, said.append, when_pages_answer=lambda: "sign in here")

    assert said == [
        f"Web            {server.url}",
        "sign in here",
        "waiting for Daemon: decisions become rows once it runs",
        "Daemon         runs: decisions become rows",
        f"all ready; logs in {home.logs}; Ctrl-C stops all",
        "stopping …",
    ]
