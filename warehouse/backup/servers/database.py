"""A team's PostgreSQL database, copied and restored by PostgreSQL's own programs.

The copy is one state: the lake's catalog, deployments, decisions handed over, MLflow and Dagster agree in it, and what
is read beside it is read in its snapshot.
"""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from warehouse.backup.manifest import Manifest, StoredFile
from warehouse.backup.store import Store
from warehouse.errors import BackupError
from warehouse.lake.catalog_copy import CopiedCatalog, catalog_contents
from warehouse.settings import Settings
from warehouse.settings.variable import masked

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

#: Path in a manifest.
DUMP = "servers/database.dump"
#: Columns of MLflow's store that hold places below its artifact root.
ARTIFACT_PLACES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "model_versions": ("source", "storage_location"),
    "logged_models": ("artifact_location",),
}


def keep_database(settings: Settings, store: Store) -> tuple[StoredFile, CopiedCatalog | None, int]:
    """Keep the database; returns it with what the lake's catalog names, and the decisions handed over, of that state.

    Without compression, so that pages that did not change are not copied again. Raises BackupError.
    """
    with _explained("copied"), _connected(settings) as connection:
        connection.execute("begin isolation level repeatable read read only")
        ((snapshot,),) = connection.execute("select pg_export_snapshot()").fetchall()
        catalog = None
        if _exists(connection, "public.ducklake_snapshot"):
            connection.execute("set local search_path = public")
            catalog = catalog_contents(lambda query: connection.execute(query).fetchall())
        n_decisions = 0
        if _exists(connection, "loanlake.decision_log"):
            ((n_decisions,),) = connection.execute("select count(*) from loanlake.decision_log").fetchall()
        # `dbt build` rebuilds analysts' lakes
        options = ("--format=custom", "--compress=0", f"--snapshot={snapshot}", "--exclude-schema=dev_*")
        with _program(settings, "pg_dump", *options) as run:
            parts, n_bytes = store.keep_stream(run.stdout)
    return StoredFile(DUMP, n_bytes, 0, parts), catalog, n_decisions


def restore_database(settings: Settings, store: Store, manifest: Manifest) -> None:
    """Fill the empty database of LOANLAKE_CATALOG, whole or not at all, and adapt the places that it remembers.

    Machines that outlived their server take every shared file again: what they have may be newer than the backup.
    Raises BackupError.
    """
    (dump,) = (file for file in manifest.files if file.path == DUMP)
    with _program(
        settings, "pg_restore", "--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction"
    ) as run:
        for part in dump.parts:
            with suppress(BrokenPipeError):  # its own message says why
                run.stdin.write(store.read_part(part))
    with _explained("restored"), _connected(settings) as connection, connection.transaction():
        if _exists(connection, "public.ducklake_metadata"):
            place = f"{settings.lake_data.rstrip('/')}/"
            connection.execute("update public.ducklake_metadata set value = %s where key = 'data_path'", [place])
        # by the clock, which is ahead of any number of changes: above every position that a machine has seen
        connection.execute(
            "select setval('loanlake.positions', greatest(nextval('loanlake.positions'), "
            "(extract(epoch from clock_timestamp()) * 1000)::bigint))"
        )
        connection.execute("update loanlake.files set position = nextval('loanlake.positions')")
        if manifest.artifact_root is not None and manifest.artifact_root != settings.mlflow_artifact_root:
            _adapt_mlflow(connection, manifest.artifact_root, settings.mlflow_artifact_root)


def require_empty_database(settings: Settings) -> None:
    """Raises BackupError if the database of LOANLAKE_CATALOG has anything that a restore would replace."""
    with _explained("reached"), _connected(settings) as connection:
        ((n_tables,),) = connection.execute(
            "select count(*) from pg_tables where schemaname in ('public', 'mlflow', 'dagster')"
        ).fetchall()
        n_files = 0
        if _exists(connection, "loanlake.files"):
            ((n_files,),) = connection.execute("select count(*) from loanlake.files").fetchall()
    if n_tables or n_files:
        raise BackupError(
            f"a team's backup is restored into an empty database, and that of LOANLAKE_CATALOG has {n_tables:,} tables "
            f"and {n_files:,} files of a team: nothing was changed. Create another, and set LOANLAKE_CATALOG to it"
        )


@contextmanager
def scratch_database(settings: Settings) -> Iterator[str]:
    """A new, empty database on the team's server, as libpq's connection string; dropped at the end.

    Raises BackupError where the user may not create one.
    """
    import psycopg
    from psycopg import sql
    from psycopg.conninfo import make_conninfo

    name = f"loanlake_check_{uuid.uuid4().hex[:12]}"
    with _connected(settings) as connection:
        try:
            connection.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
        except psycopg.Error as error:
            raise BackupError(
                "to check a team's backup, it is restored into a database of its own: the user of LOANLAKE_CATALOG "
                f"must be allowed to create one (alter role … createdb): {_words(error)}"
            ) from None
    try:
        yield make_conninfo(settings.catalog or "", dbname=name)
    finally:
        with _connected(settings) as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@contextmanager
def _connected(settings: Settings) -> Iterator["Connection"]:
    """Not :func:`warehouse.team.server`, which creates the team's schemas."""
    try:
        import psycopg
    except ImportError:
        raise BackupError("a team's database needs the extra 'team': pip install 'loanlake[team]'") from None
    with psycopg.connect(settings.catalog or "", autocommit=True, application_name="loanlake: backup") as connection:
        yield connection


def _exists(connection: "Connection", table: str) -> bool:
    row = connection.execute("select to_regclass(%s) is not null", [table]).fetchone()
    return row is not None and row[0] is True


@contextmanager
def _explained(what: str) -> Iterator[None]:
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise BackupError(f"the team's database (LOANLAKE_CATALOG) cannot be {what}: {_words(error)}") from None


def _words(error: object) -> str:
    return " ".join(masked(str(error)).split())


@dataclass(frozen=True)
class _Run:
    stdin: BinaryIO
    stdout: BinaryIO


@contextmanager
def _program(settings: Settings, program: str, *options: str) -> Iterator[_Run]:
    """Run one of PostgreSQL's programs with the team's database; the password is not on its command line."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    if shutil.which(program) is None:
        raise BackupError(
            f"a team's database is copied by PostgreSQL's own {program}, which must be on this machine, in the "
            "server's version or a newer one: install PostgreSQL's client programs (Debian: postgresql-client)"
        )
    given: dict[str, Any] = dict(conninfo_to_dict(settings.catalog or ""))
    if "sslpassword" in given:
        raise BackupError(
            f"LOANLAKE_CATALOG has sslpassword, which {program} would show in the list of processes: use a key "
            "without one"
        )
    password = given.pop("password", None)
    environment = os.environ | ({"PGPASSWORD": str(password)} if password is not None else {})
    command = [program, *options, "--no-password", f"--dbname={make_conninfo(**given)}"]
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(  # noqa: S603  # PostgreSQL's program, its options as a list
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
        ) as run:
            try:
                yield _Run(cast("BinaryIO", run.stdin), cast("BinaryIO", run.stdout))
                with suppress(BrokenPipeError):
                    run.communicate()
            except BaseException:
                run.kill()
                raise
        said.seek(0)
        if run.returncode != 0:
            text = _words(said.read().decode(errors="replace"))[-1_000:]
            raise BackupError(f"{program} ended with {run.returncode}: {text or 'it said nothing'}")


def _adapt_mlflow(connection: "Connection", before: str, now: str) -> None:
    for table, columns in ARTIFACT_PLACES.items():
        present = connection.execute(
            "select column_name from information_schema.columns where table_schema = 'mlflow' and table_name = %s",
            [table],
        ).fetchall()
        for (column,) in present:
            if column in columns:
                connection.execute(
                    f"update mlflow.{table} set {column} = %s || substr({column}, %s) where starts_with({column}, %s)",
                    [f"{now}/", len(before) + 2, f"{before}/"],
                )
