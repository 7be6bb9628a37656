"""The paths and settings of a Loanlake home, read from the environment.

All state is under ``LOANLAKE_HOME``; two homes share nothing. The default is independent of the working directory, so
that ``dbt run`` in ``warehouse/``, Dagster and the API find the same lake.
"""

import getpass
import hashlib
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from warehouse.errors import SettingError
from warehouse.settings.checkout import default_home
from warehouse.settings.places import Places
from warehouse.settings.postgres_uri import postgres_uri
from warehouse.settings.sqlite_uri import sqlite_uri
from warehouse.settings.variable import Variable, read

Erasure = Literal["delete", "pseudonymise"]
#: Minimum life of an ``Idempotency-Key``, whatever the settings.
KEY_LIFE = timedelta(days=1)
#: Files with a container's limit: control groups version 2, then version 1.
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_MEMORY = "a share of the machine's memory"


def memory_bytes(limits: tuple[Path, ...] = _LIMITS) -> int:
    """The machine's memory, or a container's lower limit."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    texts = [path.read_text().strip() for path in limits if path.exists()]
    return min([machine, *(int(text) for text in texts if text.isdigit())])


def _home(text: str) -> Path:
    home = Path(text).expanduser().resolve()
    if {"?", "%"} & set(str(home)):
        raise ValueError(text)
    return home


def _moment(text: str) -> datetime:
    """Naive UTC, like every time in the lake."""
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def _minutes(text: str) -> float:
    minutes = float(text)
    if not 0 < minutes < float("inf"):
        raise ValueError(text)
    return minutes


def _catalog(text: str) -> str:
    scheme, _, rest = text.partition(":")
    if scheme != "postgres" or not rest:
        raise ValueError(scheme)
    return rest


@dataclass(frozen=True)
class Settings(Places):
    """The home, its lake and its models.

    ``catalog_schema``: a dev lake's own schema in a PostgreSQL catalog, None for production's.
    """

    home: Annotated[
        Path,
        Variable(
            "Directory of all state, readable only by its owner.",
            otherwise="`var/` of a clone; of an installed package `loanlake` in `$XDG_DATA_HOME` (`~/.local/share`)",
            must="a path without '?' and '%', which Dagster takes for parts of a URL",
            parse=_home,
        ),
    ]
    default_lender: Annotated[
        str | None,
        Variable(
            "Lender that commands and the API's short paths are about when none is named.",
            otherwise="the only one served, else simulated for commands",
        ),
    ] = None
    catalog: Annotated[
        str | None,
        Variable(
            "PostgreSQL database of the lake's catalog, and of all that the machines of a team share.",
            must="'postgres:' and a libpq connection string",
            hint="leave it unset for the embedded catalog",
            otherwise="SQLite in the home",
            parse=_catalog,
            secret=True,
        ),
    ] = None
    lake_data: Annotated[
        str,
        Variable("Directory or object store prefix of the lake's Parquet files.", otherwise="`lake/data/` in the home"),
    ] = ""
    machine: Annotated[
        str,
        Variable("Name of this machine among a team's, for people.", otherwise="the host's name and the home's path"),
    ] = ""
    lease_seconds: Annotated[
        float, Meta(gt=0), Variable("How long a writer waits for its turn to write.", unit="seconds")
    ] = 120.0
    dev_name: Annotated[
        str,
        Meta(pattern="^[a-z0-9_]{1,40}$"),
        Variable(
            "Name of the lake that `dbt build` in `warehouse/` builds into.",
            must="1 to 40 small letters, digits and underscores",
            hint="leave it unset for your user's name",
            otherwise="your user's name",
        ),
    ] = "analyst"
    retention_days: Annotated[
        float, Meta(gt=0), Variable("How long every state of the lake can be read again.", unit="days")
    ] = 30.0
    grace_hours: Annotated[
        float,
        Meta(gt=0),
        Variable("How long a file that no kept snapshot needs stays, for queries that still read it.", unit="hours"),
    ] = 24.0
    decision_log_days: Annotated[
        float,
        Meta(ge=KEY_LIFE.days),
        Variable(
            "How long the API's log keeps decisions that the lake has, and knows an `Idempotency-Key`.",
            unit="days",
            hint=f"callers may count on an Idempotency-Key for {KEY_LIFE.days * 24} hours",
        ),
    ] = 30.0
    decision_copy: Annotated[
        Path | None,
        Variable(
            "Folder on another disk, to which each decision is also written before it is answered.",
            otherwise="decisions are in the home only",
            parse=lambda text: Path(text).expanduser().resolve(),
        ),
    ] = None
    file_rows: Annotated[int, Meta(ge=1), Variable("Most rows that one file may have.", unit="rows")] = 200_000_000
    file_gigabytes: Annotated[
        float, Meta(gt=0), Variable("Most bytes that one file may have, unpacked.", unit="gigabytes")
    ] = 100.0
    training_memory_share: Annotated[
        float,
        Meta(ge=0, le=1),
        Variable("Share of the machine's memory beyond which training works from disk.", noun=_MEMORY),
    ] = 0.5
    query_memory_share: Annotated[
        float,
        Meta(ge=0.01, le=1),
        Variable("Share of the machine's memory beyond which queries and builds work from disk.", noun=_MEMORY),
    ] = 0.8
    publish: Annotated[
        Literal["auto", "never"],
        Variable("Whether a run may publish a model, unless the run or the lender's file sets it."),
    ] = "auto"
    rollback_minutes: Annotated[
        float | None,
        Variable(
            "How long after its promotion a version that fails, or answers slowly, makes way for the one before; "
            "`none`: a person decides.",
            unit="minutes",
            words={"none": None},
            must="a number of minutes above 0, or none",
            parse=_minutes,
        ),
    ] = 60.0
    approval_required: Annotated[
        bool,
        Variable(
            "Whether a person must approve a version before it is served.",
            "LOANLAKE_APPROVAL",
            words={"none": False, "required": True},
        ),
    ] = False
    skew_since: Annotated[
        datetime | None,
        Variable(
            "Earlier decisions do not count against a promotion.",
            must="an ISO 8601 time such as 2026-03-01T09:00",
            otherwise="the last 30 days count",
            parse=_moment,
        ),
    ] = None
    erasure: Annotated[Erasure, Variable("What happens to the rows of a person who is erased.")] = "delete"
    erasure_key: Annotated[
        str | None,
        Meta(min_length=32),
        Variable(
            "Key of the pseudonyms.",
            secret=True,
            hint="ids can be guessed from the pseudonyms of a shorter key; leave it unset for a key made in the home",
            otherwise="a key made in the home",
        ),
    ] = field(default=None, repr=False)
    redis_url: Annotated[
        str | None,
        Meta(pattern="^(redis|rediss|unix)://"),
        Variable(
            "Redis server of the online store and the rate limits, for a team.",
            must="an address that begins with redis://, rediss:// or unix://, as in redis://127.0.0.1:6379/0",
            hint="leave it unset to keep both in the home",
            otherwise="both are in the home",
            secret=True,
        ),
    ] = None
    redis_prefix: Annotated[
        str,
        Variable(
            "Prefix of all keys in Redis; set it where two homes share a store.",
            otherwise="from the home's path; of a team from LOANLAKE_LAKE_DATA",
        ),
    ] = "loanlake"
    redis_timeout_seconds: Annotated[
        float, Meta(gt=0), Variable("How long a look-up in Redis may take.", unit="seconds")
    ] = 0.25
    catalog_schema: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read ``LOANLAKE_*`` variables; raises SettingError naming the variable and the invalid value."""
        env = os.environ if environment is None else environment
        given = read(cls, env)
        home = given["home"] = given.get("home") or _home(str(default_home(env)))
        lake_data = given.get("lake_data") or _own_lake_data(home)
        return cls(
            **{
                "lake_data": lake_data,
                "machine": f"{socket.gethostname()}:{home}",
                # machines of a team have homes of their own, and one store
                "redis_prefix": _own_redis_prefix(Path(lake_data) if given.get("catalog") else home),
                "dev_name": given.get("dev_name") or _user(),
                **given,
            }
        )

    def chosen_lender(self, named: str | None = None) -> str:
        """The named lender, else the setting's, else the only one served, else simulated.

        Raises SettingError if several are served.
        """
        chosen = named or self.default_lender
        if chosen:
            return chosen
        served = self.deployed_lenders()
        if len(served) > 1:
            raise SettingError(
                f"a lender must be named, since this home serves {', '.join(served)}: give --lender, or set "
                "LOANLAKE_DEFAULT_LENDER"
            )
        return served[0] if served else "simulated"

    @property
    def mlflow_uri(self) -> str:
        """MLflow's tracking and registry store, as SQLAlchemy names it; of a team with its password."""
        return sqlite_uri(self.mlflow_database) if self.catalog is None else postgres_uri(self.catalog, "mlflow")

    @property
    def mlflow_artifact_root(self) -> str:
        """Where MLflow's artifacts are: a directory of the home, or beside the lake's prefix of an object store."""
        return self.beside_lake.get("mlflow") or self.mlflow_artifacts.as_uri()

    @property
    def run_logs(self) -> str | None:
        """The object store prefix of Dagster's run output; None: in the home."""
        return self.beside_lake.get("dagster")

    @property
    def beside_lake(self) -> Mapping[str, str]:
        """Prefixes of a team's object store: of MLflow's artifacts and of Dagster's run output; else none."""
        if not self.catalog or "://" not in self.lake_data:
            return {}
        # never below the lake's files: maintenance deletes what it does not know there
        return {name: f"{self.lake_data.rstrip('/')}-{name}" for name in ("mlflow", "dagster")}

    @property
    def training_bytes(self) -> int:
        """Memory that training may use before it works from disk."""
        return int(self.training_memory_share * memory_bytes())

    @property
    def query_bytes(self) -> int:
        """Memory that a DuckDB connection may use before it works from disk."""
        return int(self.query_memory_share * memory_bytes())

    @property
    def file_bytes(self) -> int:
        """Maximum size of one file, unpacked."""
        return int(self.file_gigabytes * 1e9)

    @property
    def default_lake_data(self) -> str:
        """The directory of Parquet files unless ``LOANLAKE_LAKE_DATA`` is set."""
        return _own_lake_data(self.home)


def _own_lake_data(home: Path) -> str:
    return f"{home / 'lake' / 'data'}/"


def _own_redis_prefix(home: Path) -> str:
    # hash of the full path: two homes on one server must never delete each other's borrowers
    return f"loanlake:{home.name}-{hashlib.sha256(str(home).encode()).hexdigest()[:12]}"


def _user() -> str:
    """The user's name in lower case, for a folder and a schema."""
    try:
        return re.sub(r"[^a-z0-9_]+", "_", getpass.getuser().lower())[:40]
    except (KeyError, OSError):  # no account name, as in some containers
        return "analyst"
