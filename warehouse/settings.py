"""Where a Loanlake home keeps its state, and how the environment changes it.

Everything lives under one directory, ``LOANLAKE_HOME``; two homes share nothing. The default does not depend on the
working directory, so that ``dbt run`` in ``warehouse/``, Dagster and the API find the same lake.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, cast, get_args

from warehouse.environment import dev_name, home_of, is_required, moment, positive_number, redis_url, share
from warehouse.errors import SettingError
from warehouse.memory import memory_bytes
from warehouse.sqlite_uri import sqlite_uri

REPOSITORY = Path(__file__).resolve().parents[1]
DBT_PROJECT_DIR = REPOSITORY / "warehouse"

Erasure = Literal["delete", "pseudonymise"]
_SHORTEST_KEY = 32
#: How long callers may count on an ``Idempotency-Key``, whatever the settings.
KEY_LIFE = timedelta(days=1)


@dataclass(frozen=True)
class Settings:
    """Locations and limits, read once from the environment.

    ``home``: directory of all state. ``catalog``: None for the embedded SQLite catalog, else a libpq connection string
    (``LOANLAKE_CATALOG=postgres:dbname=lake host=…``). ``lake_data``: directory or object-store prefix of the Parquet
    files. ``lease_seconds``: how long a writer waits for its turn before LakeBusyError.
    ``training_memory_share``: of the machine's memory that training may take before it works from disk.
    ``query_memory_share``: of it that a DuckDB connection may take before it does; what lies beside its buffers,
    results and a few operators, comes on top.
    ``approval_required``: whether a person must approve a version before it answers anybody (``LOANLAKE_APPROVAL``,
    ``none`` or ``required``).
    ``publish``: whether a run may put a model in service by the rule of :mod:`ml.judging.publication`
    (``LOANLAKE_PUBLISH``,
    ``auto`` or ``never``), where neither the run nor the lender's file says so.
    ``skew_since``: no earlier decision counts against a promotion (``LOANLAKE_SKEW_SINCE``); None: those of the last
    30 days do.
    ``source``: the lender that runs are about when none is named (``LOANLAKE_SOURCE``); see :meth:`active_source`.
    ``redis_url``: the Redis that keeps the online store instead of the home (``LOANLAKE_REDIS_URL``); ``redis_prefix``
    begins all its keys there, ``redis_timeout_seconds`` bounds a look-up.
    ``retention_days``: how long any state of the lake can be read again; ``grace_hours``: how long a data file stays
    that no kept snapshot needs, for queries that began before (``LOANLAKE_RETENTION_DAYS``, ``LOANLAKE_GRACE_HOURS``).
    ``decision_log_days``: how long the API's log keeps decisions that the lake has, and with them what an
    ``Idempotency-Key`` stands for (``LOANLAKE_DECISION_LOG_DAYS``); :data:`KEY_LIFE` at least.
    ``file_rows`` and ``file_gigabytes``: the most that one file may bring, unpacked (``LOANLAKE_FILE_ROWS``,
    ``LOANLAKE_FILE_GIGABYTES``).
    ``dev_name``: whose lake ``dbt`` builds into when a person runs it (``LOANLAKE_DEV_NAME``, default the user's name);
    ``catalog_schema``: the schema of a PostgreSQL catalog that a dev lake has to itself, None for production's.
    ``erasure``: what becomes of the rows of a person who is erased (``LOANLAKE_ERASURE``); ``erasure_key`` makes their
    pseudonyms (``LOANLAKE_ERASURE_KEY``), None for a key that is kept in the home.
    """

    home: Path
    catalog: str | None
    lake_data: str
    lease_seconds: float
    source: str | None = None
    redis_url: str | None = None
    redis_prefix: str = "loanlake"
    redis_timeout_seconds: float = 0.25
    skew_since: datetime | None = None
    retention_days: float = 30.0
    grace_hours: float = 24.0
    decision_log_days: float = 30.0
    file_rows: int = 200_000_000
    file_gigabytes: float = 100.0
    training_memory_share: float = 0.5
    query_memory_share: float = 0.8
    approval_required: bool = False
    publish: Literal["auto", "never"] = "auto"
    dev_name: str = "analyst"
    catalog_schema: str | None = None
    erasure: Erasure = "delete"
    erasure_key: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read ``LOANLAKE_*`` variables; raises SettingError naming the variable and the value that cannot be used."""
        env = os.environ if environment is None else environment
        home = home_of(env, default=REPOSITORY / "var")
        catalog = env.get("LOANLAKE_CATALOG") or None
        if catalog is not None:
            scheme, _, rest = catalog.partition(":")
            if scheme != "postgres" or not rest:
                raise SettingError(
                    f"LOANLAKE_CATALOG must be 'postgres:' and a libpq connection string: found {scheme!r}; "
                    "leave it unset for the embedded catalog"
                )
            catalog = rest
        return cls(
            home=home,
            catalog=catalog,
            lake_data=env.get("LOANLAKE_LAKE_DATA") or _own_lake_data(home),
            lease_seconds=positive_number(env, "LOANLAKE_LEASE_SECONDS", 120.0, "seconds"),
            source=env.get("LOANLAKE_SOURCE") or None,
            redis_url=redis_url(env),
            redis_prefix=env.get("LOANLAKE_REDIS_PREFIX") or _own_redis_prefix(home),
            redis_timeout_seconds=positive_number(
                env, "LOANLAKE_REDIS_TIMEOUT_SECONDS", cls.redis_timeout_seconds, "seconds"
            ),
            skew_since=moment(env, "LOANLAKE_SKEW_SINCE"),
            retention_days=positive_number(env, "LOANLAKE_RETENTION_DAYS", 30.0, "days"),
            grace_hours=positive_number(env, "LOANLAKE_GRACE_HOURS", 24.0, "hours"),
            decision_log_days=_decision_log_days(env, cls.decision_log_days),
            file_rows=int(positive_number(env, "LOANLAKE_FILE_ROWS", cls.file_rows, "rows")),
            file_gigabytes=positive_number(env, "LOANLAKE_FILE_GIGABYTES", cls.file_gigabytes, "gigabytes"),
            training_memory_share=share(env, "LOANLAKE_TRAINING_MEMORY_SHARE", cls.training_memory_share),
            query_memory_share=share(env, "LOANLAKE_QUERY_MEMORY_SHARE", cls.query_memory_share, least=0.01),
            approval_required=is_required(env, "LOANLAKE_APPROVAL"),
            publish=_publish(env),
            dev_name=dev_name(env),
            erasure=_erasure(env),
            erasure_key=_erasure_key(env),
        )

    def active_source(self) -> str:
        """The lender that work is about when none is named: the setting, else the deployed model's, else simulated.

        Raises SettingError where deployment.json cannot be read.
        """
        if self.source:
            return self.source
        if not self.deployment.exists():
            return "simulated"
        try:
            return str(json.loads(self.deployment.read_text())["source"])
        except (ValueError, KeyError, TypeError) as error:
            raise SettingError(
                f"{self.deployment} must name the source that is served: {error!r}; restore it from a backup, or set "
                "LOANLAKE_SOURCE"
            ) from error

    @property
    def training_bytes(self) -> int:
        """What training may take of memory before it works from disk."""
        return int(self.training_memory_share * memory_bytes())

    @property
    def query_bytes(self) -> int:
        """What a DuckDB connection may take of memory before it works from disk."""
        return int(self.query_memory_share * memory_bytes())

    @property
    def file_bytes(self) -> int:
        """The most bytes that one file may bring, unpacked."""
        return int(self.file_gigabytes * 1e9)

    @property
    def landing(self) -> Path:
        """Files as received, ``<source>/<entity>/``; never edited."""
        return self.home / "landing"

    @property
    def inbox(self) -> Path:
        """Where files wait to be noticed: ``<source>/<entity>/``; the new-files sensor loads what lies here."""
        return self.home / "inbox"

    @property
    def default_lake_data(self) -> str:
        """Where the Parquet files are unless ``LOANLAKE_LAKE_DATA`` says otherwise."""
        return _own_lake_data(self.home)

    @property
    def lake_catalog(self) -> Path:
        """The embedded SQLite catalog."""
        return self.home / "lake" / "catalog.sqlite"

    @property
    def spill(self) -> Path:
        """Where DuckDB puts what does not fit in memory, for as long as a query runs."""
        return self.home / "lake" / "spill"

    @property
    def writer_lease(self) -> Path:
        """The file whose exclusive lock is the turn to write."""
        return self.home / "lake" / "writer.lock"

    @property
    def candidates(self) -> Path:
        """Trained models on their way through the gates, one directory a fingerprint of what made them."""
        return self.home / "candidates"

    @property
    def walk_forward(self) -> Path:
        """Models trained in walks through history, one bundle a fingerprint; none of them is ever served."""
        return self.home / "walk_forward"

    @property
    def bundles(self) -> Path:
        """Published model bundles, one directory a model version."""
        return self.home / "bundles"

    @property
    def deployment(self) -> Path:
        """``deployment.json``: what the API serves now."""
        return self.home / "deployment" / "deployment.json"

    def drift(self, source: str) -> Path:
        """The newest drift of a source's versions in service, for those who do not open the lake."""
        return self.deployment.with_name(f"drift-{source}.json")

    @property
    def approvals(self) -> Path:
        """Every approval ever given, one JSON a line, oldest first."""
        return self.home / "deployment" / "approvals.jsonl"

    @property
    def versions(self) -> Path:
        """A copy of what MLflow knows of registered versions, one JSON file a source, for the API."""
        return self.home / "deployment" / "versions"

    @property
    def deployment_history(self) -> Path:
        """Every deployment ever published, one JSON a line, oldest first."""
        return self.home / "deployment" / "history.jsonl"

    @property
    def online_store(self) -> Path:
        """LMDB directory of history and cohort inputs."""
        return self.home / "online"

    @property
    def outbox(self) -> Path:
        """SQLite decision log of the API."""
        return self.home / "serving" / "outbox.sqlite"

    @property
    def batches(self) -> Path:
        """What was sent in batches and what came of it, one directory a batch; readable by the owner alone."""
        return self.home / "serving" / "batches"

    @property
    def batch_states(self) -> Path:
        """SQLite file of batches: what was asked for, and how far each has come."""
        return self.home / "serving" / "batches.sqlite"

    @property
    def keys(self) -> Path:
        """SQLite file of hashed API keys."""
        return self.home / "serving" / "keys.sqlite"

    @property
    def call_counts(self) -> Path:
        """How many requests each caller has sent in their running minute, for the API workers of this machine."""
        return self.home / "serving" / "calls"

    @property
    def counters(self) -> Path:
        """Where API workers add up what ``/metrics`` shows: a link a port, to a directory in memory."""
        return self.home / "serving" / "counters"

    @property
    def reports(self) -> Path:
        """Evidently reports and plots, HTML, JSON and PNG."""
        return self.home / "reports"

    @property
    def doors(self) -> Path:
        """Hashes of links and sessions by which people sign in to the pages of ``loanlake up``, and their address."""
        return self.home / "doors"

    @property
    def erasures(self) -> Path:
        """The key of pseudonyms, and what an unfinished erasure has still to do; readable by the owner alone."""
        return self.home / "erasures"

    @property
    def sql_history(self) -> Path:
        """What was typed into the SQL shell."""
        return self.home / "sql_history"

    @property
    def mlflow_uri(self) -> str:
        """MLflow's tracking and registry store, as SQLAlchemy names it."""
        return sqlite_uri(self.mlflow_database)

    @property
    def mlflow_database(self) -> Path:
        """The SQLite file of that store."""
        return self.home / "mlflow" / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        """MLflow's artifact root."""
        return self.home / "mlflow" / "artifacts"

    @property
    def dagster_home(self) -> Path:
        """Dagster's run, event and schedule storage."""
        return self.home / "dagster"

    @property
    def dbt_target(self) -> Path:
        """dbt's compiled SQL and manifest, as of the last build of the feature tables."""
        return self.home / "dbt" / "target"

    @property
    def dbt_parsed(self) -> Path:
        """dbt's manifest without compiled SQL, from which Dagster draws its asset graph."""
        return self.home / "dbt" / "parsed"

    @property
    def dbt_as_of(self) -> Path:
        """The label rule as dbt compiled it with its day left open, one directory a label window."""
        return self.home / "dbt" / "as_of"

    @property
    def months(self) -> Path:
        """The first and last month with a decision, as of the last build of the feature tables."""
        return self.home / "dbt" / "months.json"

    @property
    def logs(self) -> Path:
        """What runs and services print, one file each."""
        return self.home / "logs"


def _own_lake_data(home: Path) -> str:
    return f"{home / 'lake' / 'data'}/"


def _own_redis_prefix(home: Path) -> str:
    # of the whole path: two homes on one server must never delete each other's borrowers
    return f"loanlake:{home.name}-{hashlib.sha256(str(home).encode()).hexdigest()[:12]}"


def _publish(env: Mapping[str, str]) -> Literal["auto", "never"]:
    word = env.get("LOANLAKE_PUBLISH") or "auto"
    if word not in ("auto", "never"):
        raise SettingError(f"LOANLAKE_PUBLISH must be 'auto' or 'never': found {word!r}")
    return "never" if word == "never" else "auto"


def _erasure(env: Mapping[str, str]) -> Erasure:
    text = env.get("LOANLAKE_ERASURE") or "delete"
    for known in get_args(Erasure):
        if text == known:
            return cast(Erasure, known)
    raise SettingError(f"LOANLAKE_ERASURE must be one of {', '.join(get_args(Erasure))}: found {text!r}")


def _erasure_key(env: Mapping[str, str]) -> str | None:
    key = env.get("LOANLAKE_ERASURE_KEY") or None
    if key is not None and len(key) < _SHORTEST_KEY:
        raise SettingError(
            f"LOANLAKE_ERASURE_KEY must have at least {_SHORTEST_KEY} characters, or ids can be guessed from their "
            f"pseudonyms: found {len(key)}; leave it unset to have one made in the home"
        )
    return key


def _decision_log_days(env: Mapping[str, str], default: float) -> float:
    days = positive_number(env, "LOANLAKE_DECISION_LOG_DAYS", default, "days")
    if days < KEY_LIFE.days:
        raise SettingError(
            f"LOANLAKE_DECISION_LOG_DAYS must be at least {KEY_LIFE.days}, since callers may count on an "
            f"Idempotency-Key for {KEY_LIFE.days * 24} hours: found {days:g}"
        )
    return days
