"""Paths in a home."""

from pathlib import Path


class Place:
    """A path below the home, as an attribute of :class:`Places`."""

    def __init__(self, *parts: str) -> None:
        self._parts = parts

    def __get__(self, places: "Places", _owner: type) -> Path:
        return places.home.joinpath(*self._parts)


class Places:
    """The paths of a home."""

    home: Path

    #: Files as received, ``<source>/<entity>/``; changed only by an erasure.
    landing = Place("landing")
    #: New files, ``<source>/<entity>/``, which the new-files sensor loads.
    inbox = Place("inbox")
    #: The embedded SQLite catalog.
    lake_catalog = Place("lake", "catalog.sqlite")
    #: Spill files of DuckDB during a query.
    spill = Place("lake", "spill")
    #: The lock file of the writer lease.
    writer_lease = Place("lake", "writer.lock")
    #: Trained models that are not published, one directory for each fingerprint of their inputs.
    candidates = Place("candidates")
    #: Trials of searches of settings, in Optuna's storage, one directory a lender.
    searches = Place("searches")
    #: Models trained in walks through history, one bundle for each fingerprint; never served.
    walk_forward = Place("walk_forward")
    #: Published model bundles, one directory a model version.
    bundles = Place("bundles")
    #: What is registered and served, one directory a lender.
    deployments = Place("deployment")
    #: The newest figures of models, data and portfolio, readable without opening the lake.
    figures = Place("deployment", "figures.json")
    #: How far each stream is behind its Kafka topic, one file an entity.
    streams = Place("streams")
    #: LMDB directory of history and cohort inputs.
    online_store = Place("online")
    #: SQLite decision log of the API.
    outbox = Place("serving", "outbox.sqlite")
    #: Which disk the second copy of the decision log is on, once there is one.
    decision_copy_disk = Place("serving", "second-copy")
    #: Rows and results of batches, one directory a batch; readable by the owner only.
    batches = Place("serving", "batches")
    #: SQLite file of batches: requests and their progress.
    batch_states = Place("serving", "batches.sqlite")
    #: SQLite file of hashed API keys.
    keys = Place("serving", "keys.sqlite")
    #: Number of requests of each caller in their current minute, for the API workers of this machine.
    call_counts = Place("serving", "calls")
    #: Sums of the API workers' metrics for ``/metrics``: a link for each port, to a directory in memory.
    counters = Place("serving", "counters")
    #: Who is notified of which alerts, unless ``LOANLAKE_ALERT_ROUTES`` names another file.
    alert_routes = Place("alert_routes.yml")
    #: Lock file of the one process that sends alerts.
    alerts_lock = Place("locks", "alerts.lock")
    #: Prepared pages of the API's site, JSON, one directory a lender.
    pages = Place("pages")
    #: Every alert with its state, readable without opening the lake.
    prepared_alerts = Place("pages", "alerts.json")
    #: Evidently reports and plots, HTML, JSON and PNG.
    reports = Place("reports")
    #: Hashes of sign-in links and sessions for the pages of ``loanlake up``, and the pages' address.
    doors = Place("doors")
    #: The key of pseudonyms, and the remaining work of an unfinished erasure; readable by the owner only.
    erasures = Place("erasures")
    #: The home's own name, random, by which a target of backups knows it.
    home_id = Place("home_id")
    #: What the home remembers of its backups, and copies of databases during one.
    backup_records = Place("backup")
    #: The history of the SQL shell.
    sql_history = Place("sql_history")
    #: The SQLite file of MLflow's tracking and registry store.
    mlflow_database = Place("mlflow", "mlflow.db")
    #: MLflow's artifact root.
    mlflow_artifacts = Place("mlflow", "artifacts")
    #: Dagster's run, event and schedule storage.
    dagster_home = Place("dagster")
    #: dbt's compiled SQL and manifest, as of the last build of the feature tables.
    dbt_target = Place("dbt", "target")
    #: dbt's manifest without compiled SQL, from which Dagster draws its asset graph.
    dbt_parsed = Place("dbt", "parsed")
    #: The label rule as dbt compiled it with an open day, one directory a label window.
    dbt_as_of = Place("dbt", "as_of")
    #: The first and last month with a decision, as of the last build of the feature tables.
    months = Place("dbt", "months.json")
    #: What this machine last saw of its team's servers.
    team = Place("team")
    #: Output of runs and services, one file each.
    logs = Place("logs")

    def deployment(self, lender: str) -> Path:
        """``deployment.json``: the models of a lender that the API serves."""
        return self.deployments / lender / "deployment.json"

    def deployment_history(self, lender: str) -> Path:
        """A lender's published deployments, one JSON a line, oldest first."""
        return self.deployments / lender / "history.jsonl"

    def approvals(self, lender: str) -> Path:
        """The approvals of a lender's versions, one JSON a line, oldest first."""
        return self.deployments / lender / "approvals.jsonl"

    def versions(self, lender: str) -> Path:
        """The home's record of a lender's registered versions."""
        return self.deployments / lender / "versions.json"

    def drift(self, lender: str) -> Path:
        """The newest drift of a lender's versions in service, readable without opening the lake."""
        return self.deployments / lender / "drift.json"

    def page(self, lender: str, name: str) -> Path:
        """A lender's prepared page, readable without opening the lake."""
        return self.pages / lender / f"{name}.json"

    def recorded_lenders(self) -> tuple[str, ...]:
        """The lenders with a registered version or a deployment, by name."""
        return tuple(sorted(path.name for path in self.deployments.glob("*/") if path.is_dir()))

    def deployed_lenders(self) -> tuple[str, ...]:
        """The lenders that a model is served for, by name."""
        return tuple(lender for lender in self.recorded_lenders() if self.deployment(lender).exists())
