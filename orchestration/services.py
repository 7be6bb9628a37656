"""Start the long-running parts of Loanlake together, tell when each answers, and stop all of them together.

Each service is a process group of its own with a log file of its own: one signal to the parent ends every child and
whatever the children started (Dagster's daemon and webserver start code servers).
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from ml.tracking import SILENT
from warehouse.errors import LoanlakeError, ServiceError, SettingError
from warehouse.settings import REPOSITORY, Settings

_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.3


@dataclass(frozen=True)
class Service:
    """One child process.

    ``port`` and ``health`` (a path that answers 2xx or 503 when it is up) are None where it serves nothing; ``setting``
    names the option by which the port is chosen.
    """

    name: str
    command: Sequence[str]
    port: int | None = None
    health: str | None = None
    setting: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str | None:
        """Where it answers."""
        return None if self.port is None else f"http://127.0.0.1:{self.port}"


#: Its runners of GenAI jobs, which nothing here submits, are eight processes of 260 MB each.
_WITHOUT_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def services(
    settings: Settings, *, dagster_port: int, api_port: int, mlflow_port: int, reports_port: int
) -> list[Service]:
    """What ``loanlake up`` starts; the environment is the parent's, with DAGSTER_HOME set already."""
    python, workspace = sys.executable, str(REPOSITORY / "workspace.yaml")
    scripts = Path(python).parent
    settings.reports.mkdir(parents=True, exist_ok=True)
    links = {
        "LOANLAKE_DAGSTER_URL": f"http://127.0.0.1:{dagster_port}",
        "LOANLAKE_MLFLOW_URL": f"http://127.0.0.1:{mlflow_port}",
        "LOANLAKE_REPORTS_URL": f"http://127.0.0.1:{reports_port}",
    }
    mlflow = [python, "-m", "mlflow", "server", "--backend-store-uri", settings.mlflow_uri]
    mlflow += ["--artifacts-destination", str(settings.mlflow_artifacts), "--host", "127.0.0.1", "--workers", "1"]
    return [
        Service(
            "API",
            [str(scripts / "loanlake"), "serve", "--port", str(api_port)],
            api_port,
            "/healthz",
            "--api-port",
            links,
        ),
        Service(
            "Dagster",
            [str(scripts / "dagster-webserver"), "-w", workspace, "-h", "127.0.0.1", "-p", str(dagster_port)],
            dagster_port,
            "/server_info",
            "--dagster-port",
            links,
        ),
        Service("Dagster daemon", [str(scripts / "dagster-daemon"), "run", "-w", workspace], environment=links),
        Service(
            "MLflow",
            [*mlflow, "--port", str(mlflow_port)],
            mlflow_port,
            "/health",
            "--mlflow-port",
            SILENT | _WITHOUT_JOBS,
        ),
        Service(
            "Reports",
            [
                python,
                "-m",
                "http.server",
                str(reports_port),
                "--bind",
                "127.0.0.1",
                "--directory",
                str(settings.reports),
            ],
            reports_port,
            "/",
            "--reports-port",
        ),
    ]


def require_free_ports(wanted: Sequence[Service]) -> None:
    """Raise SettingError naming each port that something else already listens on, and the option that changes it."""
    taken = []
    for service in wanted:
        if service.port is None:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", service.port))
            except OSError:
                taken.append(f"{service.port} for {service.name} (choose another with {service.setting})")
    if taken:
        raise SettingError(f"ports must be free: something already listens on {'; '.join(taken)}")


def run_together(wanted: Sequence[Service], settings: Settings, say: Callable[[str], None]) -> None:
    """Start every service, ``say`` each URL once it answers, and wait for SIGINT or SIGTERM; then stop them all.

    Raises ServiceError with the last lines of its log when a service ends by itself.
    """
    require_free_ports(wanted)
    settings.logs.mkdir(parents=True, exist_ok=True)
    children: dict[str, subprocess.Popen[bytes]] = {}
    with _stop_requested() as stop:
        try:
            for service in wanted:
                children[service.name] = _start(service, settings)
            _watch(wanted, children, settings, say, stop)
        finally:
            say("stopping …")
            _stop(list(children.values()))


def log_of(service: Service, settings: Settings) -> Path:
    """Where a service's output goes."""
    return settings.logs / f"{service.name.lower().replace(' ', '-')}.log"


def _start(service: Service, settings: Settings) -> subprocess.Popen[bytes]:
    with log_of(service, settings).open("w") as log:
        return subprocess.Popen(  # noqa: S603
            list(service.command),
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=REPOSITORY,
            env={**os.environ, **service.environment},
            start_new_session=True,
        )


def _watch(
    wanted: Sequence[Service],
    children: dict[str, subprocess.Popen[bytes]],
    settings: Settings,
    say: Callable[[str], None],
    stop: Callable[[], bool],
) -> None:
    silent = [service for service in wanted if service.port is not None]
    while not stop():
        for service in wanted:
            if children[service.name].poll() is not None:
                raise _ended(service, children[service.name].returncode, settings)
        for service in list(silent):
            if _answers(service):
                silent.remove(service)
                say(f"{service.name:<15}{service.url}")
                if not silent:
                    say(f"all up; logs in {settings.logs}; Ctrl-C stops all")
        time.sleep(_POLL_SECONDS)


def _answers(service: Service) -> bool:
    try:
        with urllib.request.urlopen(f"{service.url}{service.health}", timeout=2):  # noqa: S310  # our own http address
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500 or error.code == 503
    except (urllib.error.URLError, OSError):
        return False


def _ended(service: Service, code: int, settings: Settings) -> LoanlakeError:
    log = log_of(service, settings)
    end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    return ServiceError(f"{service.name} ended by itself with exit code {code}; the last lines of {log}:\n{end}")


def _stop(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for child in children:
        _signal(child, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=max(0.1, deadline - time.monotonic()))
    for child in children:
        # also where the leader has gone: what it started may be left in its group
        _signal(child, signal.SIGKILL)
        child.wait()


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


@contextlib.contextmanager
def _stop_requested() -> Iterator[Callable[[], bool]]:
    received: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    previous = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
