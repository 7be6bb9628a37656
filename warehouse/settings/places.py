"""Where each thing lies in a home."""

from pathlib import Path

from warehouse.settings.sqlite_uri import sqlite_uri


class Places:
    """The paths of a home."""

    home: Path

    @property
    def landing(self) -> Path:
        """Files as received, ``<source>/<entity>/``; never edited."""
        return self.home / "landing"

    @property
    def inbox(self) -> Path:
        """Where files wait to be noticed: ``<source>/<entity>/``; the new-files sensor loads what lies here."""
        return self.home / "inbox"

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
