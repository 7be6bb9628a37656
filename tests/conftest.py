"""Every test has a home of its own: nothing a test does is seen by another, or by the developer's own lake."""

import gc
import os
import shutil
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
import redis

from tests import made_once, team_servers
from tests.one_thread import use_one_thread
from warehouse.files.turns import file_turn
from warehouse.lenders.label_rule import LabelRule
from warehouse.settings import REPOSITORY, Settings

# for what modules read while they are imported, the parsed dbt project and Dagster's months: never the developer's own
# home, and kept, since parsing takes ten seconds
os.environ["LOANLAKE_HOME"] = str(REPOSITORY / "var" / "tests")
_PARSED = Settings.from_environment()
# several processes share the cores, and threads of OpenMP and BLAS busy-wait for each other
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

use_one_thread()

REAL_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """A process more than there are cores: a test of the API or the log waits for the disk in a third of its time."""
    return len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage during imports, which take a seventh less without it; what is imported stays anyway."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Beside the folders of xdist's processes, where there are any: all of them share what is made once."""
    base = tmp_path_factory.getbasetemp()
    made_once.keep_in((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made-once")


@pytest.fixture(autouse=True)
def usual_signals() -> None:
    """What a test starts inherits that a signal is ignored: of a shell's background, or of what another test left."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A fresh, empty Loanlake home, and the environment variable that points to it."""
    for name in [name for name in os.environ if name.startswith("LOANLAKE_") and "_TEST_" not in name]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LOANLAKE_HOME", str(tmp_path / "home"))
    return Settings.from_environment()


REDIS = os.environ.get("LOANLAKE_TEST_REDIS", "redis://127.0.0.1:6379/0")


@pytest.fixture
def redis_home(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A home whose online store is on a Redis server, under keys of its own that are deleted afterwards.

    Needs ``LOANLAKE_TEST_REDIS`` (a URL) or a server at 127.0.0.1:6379; skipped where there is none.
    """
    client = redis.Redis.from_url(REDIS, socket_connect_timeout=3)
    try:
        client.ping()
    except redis.RedisError as error:
        pytest.skip(f"no Redis server to test with ({error}); set LOANLAKE_TEST_REDIS")
    monkeypatch.setenv("LOANLAKE_REDIS_URL", REDIS)
    settings = Settings.from_environment()
    yield settings
    client.delete(*(f"{settings.redis_prefix}:{name}" for name in ("records", "borrowers", "cohorts", "turn")))
    client.close()


@pytest.fixture
def team(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A home whose catalog, and all that machines share, is a database of its own, dropped afterwards."""
    with team_servers.database() as catalog:
        monkeypatch.setenv("LOANLAKE_CATALOG", f"postgres:{catalog}")
        yield Settings.from_environment()


@pytest.fixture(scope="session")
def dbt_manifest() -> Path:
    """What ``dbt parse`` makes of the project: once for all processes of a test run; nothing is compiled."""
    # imported here: most tests need nothing of Dagster
    from orchestration.lib.dbt_project import prepared_manifest

    return prepared_manifest(_PARSED)


@pytest.fixture(scope="session")
def rule() -> LabelRule:
    """What dbt makes of the project's own label rule: compiled again once the project has changed, in ten seconds."""
    from orchestration.defs.walk_forward.walking import label_rule

    with file_turn(_PARSED.home / "label_rule.lock"):
        return label_rule(_PARSED)


@pytest.fixture(scope="session")
def give_parse(dbt_manifest: Path) -> Callable[[Settings], None]:
    """Call with a new home: what is started on it need not parse the project, which takes ten seconds."""

    def give(settings: Settings) -> None:
        shutil.copytree(dbt_manifest.parent, settings.dbt_parsed)
        for path in (settings.home, *settings.home.rglob("*")):
            path.chmod(path.stat().st_mode & 0o700)  # as commands write it

    return give


@pytest.fixture(scope="session")
def start_from_parse(dbt_manifest: Path) -> Callable[[Path], None]:
    """Call with a new target path of dbt: what runs there without variables parses only what differs by then."""

    def start(target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy2(dbt_manifest.parent / "working" / "partial_parse.msgpack", target)

    return start


@pytest.fixture(scope="session")
def lending_club_file() -> Path:
    """The real Lending Club file, where this machine has it."""
    return _real_file("lending_club/accepted_2007_to_2011.csv.gz")


@pytest.fixture(scope="session")
def uci_credit_card_file() -> Path:
    """The real UCI credit-card file, where this machine has it."""
    return _real_file("uci_credit_card/UCI_Credit_Card.csv.gz")


def _real_file(name: str) -> Path:
    path = REAL_DATA / name
    if not path.exists():
        pytest.skip(f"the real file {name} is not beside this repository (../shared/data)")
    return path
