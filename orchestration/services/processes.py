"""Start the long-running parts of Loanlake together, report when each answers, and stop all together.

Each service is a process group with its own log file: one signal to the parent ends every child and the code servers
that Dagster starts.
"""

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType

from ml.registry.tracking import SILENT, TRAINING_PAGE
from orchestration.doors.backend import NO_HOST
from orchestration.doors.door import HEALTH_PATH
from orchestration.services import only_daemon
from orchestration.services.publishing import declared_publications
from orchestration.services.readiness import decisions_become_rows, streams_are_read
from warehouse.errors import LoanlakeError, ServiceError, SettingError
from warehouse.settings import REPOSITORY, Ports, Settings
from warehouse.sources.streaming.client import require_client
from warehouse.sources.streaming.streams import declared_streams

_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.3
_SECONDS_BEFORE_A_RESTART = 1.0


@dataclass(frozen=True)
class Service:
    """One child process.

    ``port`` and ``health`` (a path that answers 2xx) are None if it serves nothing; ``setting``: the option for the
    port. ``readiness``: for a service without port, what it does now, else None; ``purpose``: what waits for that.
    ``landing``: path of the first page. ``is_restarted``: nothing else needs it, so it is started again where it ends.
    """

    name: str
    command: Sequence[str]
    port: int | None = None
    health: str | None = None
    setting: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    readiness: Callable[[], str | None] | None = None
    purpose: str = ""
    landing: str = ""
    is_restarted: bool = False

    @property
    def url(self) -> str | None:
        """Where it answers."""
        return None if self.port is None else f"http://127.0.0.1:{self.port}"


#: MLflow's runners of GenAI jobs are eight unused processes of 260 MB each.
_WITHOUT_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def services(settings: Settings, sockets: Path, ports: Ports) -> list[Service]:
    """The services of ``loanlake up``; the environment is the parent's, with DAGSTER_HOME set.

    ``sockets``: a directory that only this user can open, where Dagster and MLflow listen.
    """
    python, workspace = sys.executable, str(Path(__file__).parents[1] / "workspace.yaml")
    scripts = Path(python).parent
    dagster_socket, mlflow_socket = sockets / "dagster", sockets / "mlflow"
    links = {
        "LOANLAKE_DAGSTER_URL": f"http://127.0.0.1:{ports.dagster}",
        "LOANLAKE_MLFLOW_URL": f"http://127.0.0.1:{ports.mlflow}",
        "LOANLAKE_REPORTS_URL": f"http://127.0.0.1:{ports.reports}",
    }
    webserver = [python, "-m", "orchestration.doors.dagster_on_socket", str(dagster_socket), "-w", workspace]
    mlflow = [python, "-m", "mlflow", "server", "--workers", "1"]
    # in the environment: the store's address may hold a password, which the list of processes would show
    stores = {
        "MLFLOW_BACKEND_STORE_URI": settings.mlflow_uri,
        "MLFLOW_ARTIFACTS_DESTINATION": settings.mlflow_artifact_root,
    }
    # a host that never resolves: if the socket is ignored, MLflow ends without opening a port
    mlflow += ["--uvicorn-opts", shlex.join(["--uds", str(mlflow_socket)]), "--host", NO_HOST]
    doors = [python, "-m", "orchestration.doors", "--dagster", str(ports.dagster), str(dagster_socket)]
    doors += ["--mlflow", str(ports.mlflow), str(mlflow_socket), "--reports", str(ports.reports)]
    streams, publications = declared_streams(settings), declared_publications(settings)
    purposes = [f"messages of {', '.join(each.name for each in streams)} become rows"] if streams else []
    purposes += [f"{each.name} are published" for each in publications]
    found = [
        Service(
            "API",
            [str(scripts / "loanlake"), "serve", "--port", str(ports.api)],
            ports.api,
            "/healthz",
            "--api-port",
            links,
        ),
        Service("Reports", doors, ports.reports, HEALTH_PATH, "--reports-port"),
        Service("Dagster", webserver, ports.dagster, HEALTH_PATH, "--dagster-port", links),
        Service(
            "MLflow",
            mlflow,
            ports.mlflow,
            HEALTH_PATH,
            "--mlflow-port",
            SILENT | _WITHOUT_JOBS | stores,
            landing=TRAINING_PAGE,
        ),
        Service(
            "Dagster daemon",
            only_daemon.command(),
            environment=links,
            readiness=partial(decisions_become_rows, dagster_socket, since=time.time()),
            purpose="decisions become rows of serving.predictions once it runs",
        ),
    ]
    if purposes:
        require_client()
        found.append(
            Service(
                "Streams",
                [str(scripts / "loanlake"), "stream"],
                readiness=partial(streams_are_read, settings, since=time.time()),
                purpose=f"{', and '.join(purposes)} once it runs",
                is_restarted=True,
            )
        )
    return found


def require_free_ports(wanted: Sequence[Service]) -> None:
    """Raise SettingError naming each occupied port, and the option that changes it."""
    taken = []
    for service in wanted:
        if service.port is None:
            continue
        try:
            socket.create_server(("127.0.0.1", service.port)).close()
        except OSError:
            taken.append(f"{service.port} for {service.name} (choose another with {service.setting})")
    if taken:
        raise SettingError(f"ports must be free: something already listens on {'; '.join(taken)}")


def run_together(
    wanted: Sequence[Service],
    settings: Settings,
    say: Callable[[str], None],
    *,
    when_pages_answer: Callable[[], str] | None = None,
) -> None:
    """Start every service, ``say`` what is ready and awaited, and stop all at SIGINT or SIGTERM.

    ``when_pages_answer``: one more line once all URLs answer. Raises ServiceError with the last log lines of a service
    that ends by itself.
    """
    require_free_ports(wanted)
    settings.logs.mkdir(parents=True, exist_ok=True)
    children: dict[str, subprocess.Popen[bytes]] = {}
    with _stop_requested() as stop:
        try:
            for service in wanted:
                children[service.name] = _start(service, settings)
            progress = _Progress(wanted, say, when_pages_answer)
            while not stop():
                for service in wanted:
                    code = children[service.name].poll()
                    if code is None:
                        continue
                    if not service.is_restarted:
                        raise _ended(service, code, settings)
                    say(f"{service.name} ended by itself with exit code {code}, and is started again")
                    time.sleep(_SECONDS_BEFORE_A_RESTART)
                    children[service.name] = _start(service, settings, is_first=False)
                if progress.look():
                    say(f"all ready; logs in {settings.logs}; Ctrl-C stops all")
                time.sleep(_POLL_SECONDS)
        finally:
            say("stopping …")
            _stop(list(children.values()))


def log_of(service: Service, settings: Settings) -> Path:
    """Where a service's output goes."""
    return settings.logs / f"{service.name.lower().replace(' ', '-')}.log"


def _start(service: Service, settings: Settings, *, is_first: bool = True) -> subprocess.Popen[bytes]:
    with log_of(service, settings).open("w" if is_first else "a") as log:
        return subprocess.Popen(  # noqa: S603
            list(service.command),
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=REPOSITORY,
            env={**os.environ, **service.environment},
            start_new_session=True,
        )


class _Progress:
    """Reports what is ready, pages first."""

    def __init__(
        self, wanted: Sequence[Service], say: Callable[[str], None], when_pages_answer: Callable[[], str] | None
    ) -> None:
        self._pages = [service for service in wanted if service.port is not None]
        self._others = [service for service in wanted if service.readiness is not None]
        self._say, self._when_pages_answer = say, when_pages_answer
        self._is_done = False

    def look(self) -> bool:
        """Report what became ready since the last look; True once, when all is."""
        if self._is_done:
            return False
        if self._pages:
            for service in [service for service in self._pages if _answers(service)]:
                self._pages.remove(service)
                self._say(f"{service.name:<15}{service.url}{service.landing}")
            if not self._pages:
                self._say_that_pages_answer()
            return self._is_done
        for service in list(self._others):
            ready = service.readiness() if service.readiness else None
            if ready is not None:
                self._others.remove(service)
                self._say(f"{service.name:<15}{ready}")
        self._is_done = not self._others
        return self._is_done

    def _say_that_pages_answer(self) -> None:
        if self._when_pages_answer is not None:
            self._say(self._when_pages_answer())
        for service in self._others:
            self._say(f"waiting for {service.name}: {service.purpose}")
        self._is_done = not self._others


def _answers(service: Service) -> bool:
    try:
        with urllib.request.urlopen(f"{service.url}{service.health}", timeout=2):  # noqa: S310  # our own http address
            return True
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
        # even if the leader is gone: its group may have children left
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
