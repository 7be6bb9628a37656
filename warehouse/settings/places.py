"""Paths in a home."""

from pathlib import Path

from warehouse.settings.sqlite_uri import sqlite_uri


class Places:
    """The paths of a home."""

    home: Path

    @property
    def landing(self) -> Path:
        """Files as received, ``<source>/<entity>/``; changed only by an erasure."""
        return self.home / "landing"

    @property
    def inbox(self) -> Path:
        """New files, ``<source>/<entity>/``, which the new-files sensor loads."""
        return self.home / "inbox"

    @property
    def lake_catalog(self) -> Path:
        """The embedded SQLite catalog."""
        return self.home / "lake" / "catalog.sqlite"

    @property
    def spill(self) -> Path:
        """Spill files of DuckDB during a query."""
        return self.home / "lake" / "spill"

    @property
    def writer_lease(self) -> Path:
        """The lock file of the writer lease."""
        return self.home / "lake" / "writer.lock"

    @property
    def candidates(self) -> Path:
        """Trained models that are not published, one directory for each fingerprint of their inputs."""
        return self.home / "candidates"

    @property
    def walk_forward(self) -> Path:
        """Models trained in walks through history, one bundle for each fingerprint; never served."""
        return self.home / "walk_forward"

    @property
    def bundles(self) -> Path:
        """Published model bundles, one directory a model version."""
        return self.home / "bundles"

    @property
    def deployment(self) -> Path:
        """``deployment.json``: the models that the API serves."""
        return self.home / "deployment" / "deployment.json"

    def drift(self, source: str) -> Path:
        """The newest drift of a source's versions in service, readable without opening the lake."""
        return self.deployment.with_name(f"drift-{source}.json")

    @property
    def approvals(self) -> Path:
        """All approvals, one JSON a line, oldest first."""
        return self.home / "deployment" / "approvals.jsonl"

    @property
    def versions(self) -> Path:
        """A copy of MLflow's data on registered versions, one JSON file a source, for the API."""
        return self.home / "deployment" / "versions"

    @property
    def deployment_history(self) -> Path:
        """All published deployments, one JSON a line, oldest first."""
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
        """Rows and results of batches, one directory a batch; readable by the owner only."""
        return self.home / "serving" / "batches"

    @property
    def batch_states(self) -> Path:
        """SQLite file of batches: requests and their progress."""
        return self.home / "serving" / "batches.sqlite"

    @property
    def keys(self) -> Path:
        """SQLite file of hashed API keys."""
        return self.home / "serving" / "keys.sqlite"

    @property
    def call_counts(self) -> Path:
        """Number of requests of each caller in their current minute, for the API workers of this machine."""
        return self.home / "serving" / "calls"

    @property
    def counters(self) -> Path:
        """Sums of the API workers' metrics for ``/metrics``: a link for each port, to a directory in memory."""
        return self.home / "serving" / "counters"

    @property
    def reports(self) -> Path:
        """Evidently reports and plots, HTML, JSON and PNG."""
        return self.home / "reports"

    @property
    def doors(self) -> Path:
        """Hashes of sign-in links and sessions for the pages of ``loanlake up``, and the pages' address."""
        return self.home / "doors"

    @property
    def erasures(self) -> Path:
        """The key of pseudonyms, and the remaining work of an unfinished erasure; readable by the owner only."""
        return self.home / "erasures"

    @property
    def sql_history(self) -> Path:
        """The history of the SQL shell."""
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
        """The label rule as dbt compiled it with an open day."""
        return self.home / "dbt" / "as_of"

    @property
    def months(self) -> Path:
        """The first and last month with a decision, as of the last build of the feature tables."""
        return self.home / "dbt" / "months.json"

    @property
    def logs(self) -> Path:
        """Output of runs and services, one file each."""
        return self.home / "logs"
