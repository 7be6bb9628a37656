"""``loanlake spark``: build, compare and register; PySpark and dbt are imported when one of them runs."""

import os
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import click

from warehouse.settings import DBT_PROJECT_DIR, Settings

#: What is built unless the caller selects otherwise: what features and training need.
_SELECTED = ("--select", "lenders", "staging", "core", "features", "training")


@click.command()
@click.option("--print", "only_print", is_flag=True, help="Only print the SQL, for a cluster's own client.")
def read(*, only_print: bool) -> None:
    """Show the lake's raw tables to Spark, as views.

    They are of the newest snapshot. `loanlake spark build` does it first. Run it again after files were loaded, or
    after `loanlake data maintain`, which deletes files that views of an older snapshot read.
    """
    from warehouse.lake.connection import connect
    from warehouse.spark.lake_views import view_statements
    from warehouse.spark.session import spark_session

    settings = Settings.from_environment()
    with closing(connect(settings)) as con:
        statements = list(view_statements(con))
    if only_print:
        click.echo("".join(f"{statement};\n" for statement in statements), nl=False)
        return
    spark = spark_session(settings)
    for statement in statements:
        spark.sql(statement)
    click.echo(f"{len(statements)} statements: Spark sees the lake's raw tables")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def build(ctx: click.Context, *, arguments: tuple[str, ...]) -> None:
    """Build staging to training on Spark.

    The same dbt models of staging, core, features and training, from the lake's newest snapshot. ARGUMENTS go to `dbt
    run --target spark`. With months, only these are replaced in tables of features and training. Needs the extra
    `loanlake[spark]`, which brings Java too. docs/spark.md says what runs where.

    \b
        loanlake spark build
        loanlake spark build --select core
        loanlake spark build --vars '{months_from: 2025-10, months_to: 2025-12}'
    """
    ctx.invoke(read, only_print=False)
    from dbt.cli.main import dbtRunner

    selected = () if {"-s", "--select", "-m", "--models", "--selector"} & set(arguments) else _SELECTED
    target = os.environ.get("DBT_TARGET_PATH", str(Settings.from_environment().home / "spark" / "target"))
    result = dbtRunner().invoke(
        [
            *("run", "--target", "spark", "--project-dir", str(DBT_PROJECT_DIR)),
            *("--profiles-dir", str(DBT_PROJECT_DIR), "--target-path", target, *selected, *arguments),
        ]
    )
    if not result.success:
        sys.exit(1)


@click.command()
@click.argument("models", nargs=-1)
def compare(*, models: tuple[str, ...]) -> None:
    """Compare what Spark built with the lake's tables.

    All of them, or MODELS (schema.table). Every column of every row: integers, texts, dates, times and nulls exactly,
    doubles within 1e-9 of the larger. Build both from the same raw tables first. Exit code 1: something differs, and is
    named with rows that show it.

    \b
        loanlake spark compare
        loanlake spark compare features.ftr_application_v2
    """
    from warehouse.spark.comparing import compare_tables

    n_different = 0
    with tempfile.TemporaryDirectory(prefix="loanlake-spark-") as scratch:
        for parity in compare_tables(Settings.from_environment(), models, Path(scratch)):
            n_different += bool(parity.differences)
            click.echo(
                f"{parity.model}: {parity.n_rows:,} rows, {parity.n_columns} columns, "
                f"{'differs' if parity.differences else 'equal'} (doubles to {parity.largest:.1e})"
            )
            for difference in parity.differences:
                click.echo(f"    {difference}")
    if n_different:
        click.echo(f"loanlake: {n_different} models differ", err=True)
        sys.exit(1)


@click.command()
@click.argument("tables", nargs=-1)
def register(*, tables: tuple[str, ...]) -> None:
    """Replace the lake's tables by Spark's.

    All that Spark built, or TABLES (schema.table), in one snapshot. Spark writes their Parquet files into the lake's
    data path, and the lake adds them as they are. Training, scoring, monitoring and SQL then read them as they read
    tables that DuckDB built. Earlier snapshots keep the earlier rows. Afterwards create the views, in seconds, and
    build what DuckDB builds from them:

    \b
        cd warehouse
        dbt run --target prod --select config.materialized:view --exclude portfolio monitoring serving
        dbt run --target prod --select portfolio monitoring
    """
    from warehouse.spark.registering import register_tables

    for table, n_rows in register_tables(Settings.from_environment(), tables).items():
        click.echo(f"{table}: {n_rows:,} rows")
