"""Find and drop people's own lakes, which only ``dbt build`` (target ``dev``) writes, from production's rows."""

import shutil
from contextlib import closing
from dataclasses import replace

from warehouse.errors import LakeError, NotFoundError
from warehouse.lake.connection import CATALOG, connect, lake_exists, lease
from warehouse.settings import Settings


def of_dev_lake(settings: Settings, name: str) -> Settings:
    """The settings of a person's own lake: a home within the home."""
    home = settings.home / "dev" / name
    own = replace(settings, home=home)
    if settings.catalog is None and settings.lake_data == settings.default_lake_data:
        data = own.default_lake_data
    else:  # beside production's files, whose maintenance deletes unknown files below them
        data = f"{settings.lake_data.rstrip('/')}-dev/{name}/"
    schema = None if settings.catalog is None else f"dev_{name}"
    return replace(own, lake_data=data, catalog_schema=schema)


def dev_lakes(settings: Settings) -> list[str]:
    """The names of people with a lake of their own, sorted."""
    if settings.catalog is None:
        found = of_dev_lake(settings, "*").lake_catalog
        return sorted(path.parents[1].name for path in settings.home.glob(str(found.relative_to(settings.home))))
    import psycopg

    with psycopg.connect(settings.catalog) as server:
        rows = server.execute(
            r"select table_schema from information_schema.tables where table_name = 'ducklake_metadata' "
            r"and table_schema like 'dev\_%' order by 1"
        ).fetchall()
    return [str(schema).removeprefix("dev_") for (schema,) in rows]


def drop_dev_lake(settings: Settings, name: str) -> None:
    """Delete a person's lake; raises NotFoundError if there is none, LakeBusyError during a build."""
    if name not in dev_lakes(settings):
        known = ", ".join(dev_lakes(settings)) or "nobody"
        raise NotFoundError(f"{name!r} has no dev lake; in this home {known} has one")
    own = of_dev_lake(settings, name)
    with lease("drop a dev lake", own):
        if "://" in own.lake_data:
            _delete_remote_files(own)
        elif not own.lake_data.startswith(f"{own.home}/"):
            shutil.rmtree(own.lake_data, ignore_errors=True)
        if own.catalog is not None:
            import psycopg

            with psycopg.connect(own.catalog, autocommit=True) as server:
                server.execute(f'drop schema "{own.catalog_schema}" cascade')
        if own.home.exists():
            shutil.rmtree(own.home)


def _delete_remote_files(own: Settings) -> None:
    if not lake_exists(own):
        return
    with closing(connect(own, read_only=False)) as con:
        schemas = con.execute(
            "select schema_name from information_schema.schemata where catalog_name = $1 and schema_name <> 'main'",
            [CATALOG],
        ).fetchall()
        for (schema,) in schemas:
            if schema not in ("information_schema", "pg_catalog"):
                con.execute(f'drop schema {CATALOG}."{schema}" cascade')
        con.execute(f"call ducklake_expire_snapshots('{CATALOG}', older_than => now())")
        con.execute(f"call ducklake_cleanup_old_files('{CATALOG}', cleanup_all => true)")
        con.execute(f"call ducklake_delete_orphaned_files('{CATALOG}', cleanup_all => true)")
        left = con.execute("from glob($1)", [f"{own.lake_data}**"]).fetchall()
    if left:
        raise LakeError(f"{len(left):,} files are left under {own.lake_data}: delete them in the object store")
