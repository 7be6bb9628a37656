"""``loanlake alerts``: list, acknowledge and send alerts."""

from typing import TYPE_CHECKING

import click

from warehouse.cli import options
from warehouse.settings import Settings

if TYPE_CHECKING:
    import duckdb


@click.group(invoke_without_command=True)
@click.option("--lender", help="Only this lender's alerts, and those of all lenders.")
@click.option("--all", "with_resolved", is_flag=True, help="Also resolved alerts.")
@click.pass_context
def alerts(ctx: click.Context, lender: str | None, with_resolved: bool) -> None:
    """List alerts with what to do; acknowledge and send them.

    An alert is one cause at one lender, such as the features that drifted, through all its months and model versions.
    It is open until a person acknowledges it, and resolved when its condition has ended. An acknowledged alert opens
    again when its severity becomes high, or when it returns after it was resolved.

    \b
        loanlake alerts
        loanlake alerts --lender mybank --all
        loanlake alerts ack 3f2a9c01de --reason "campaign of March, expected"
    """
    if ctx.invoked_subcommand is not None:
        return
    import duckdb

    from warehouse.alerts.sending import unsent_lines
    from warehouse.alerts.states import read_alerts
    from warehouse.alerts.texts import long_lines
    from warehouse.lake.connection import connect

    settings = Settings.from_environment()
    with connect(settings) as con:
        try:
            found = read_alerts(con, None if lender is None else [lender], with_resolved=with_resolved)
        except duckdb.CatalogException:
            click.echo("nothing was measured yet: `loanlake run` does")
            return
        if lender is not None and not any(each.source == lender for each in found):
            require_lender(con, lender, settings)
    click.echo("\n".join([*long_lines(found), *unsent_lines(settings)]))


def require_lender(con: "duckdb.DuckDBPyConnection", lender: str, settings: Settings) -> None:
    """Raise NotFoundError for a lender without files, models or alerts, such as a misspelt name."""
    from warehouse.errors import NotFoundError

    rows = con.execute(
        "select source from raw.files union select source from monitoring.alert_states where source is not null"
    ).fetchall()
    known = sorted({*settings.recorded_lenders(), *(str(source) for (source,) in rows)})
    if lender not in known:
        raise NotFoundError(f"no lender of this home has the name {lender!r}: it has {', '.join(known) or 'none'}")


@alerts.command()
@click.argument("alert_id", metavar="ID")
@options.by
@options.reason
def ack(*, alert_id: str, by: str, reason: str) -> None:
    """Acknowledge the alert ID: a person knows about it."""
    from warehouse.alerts.states import acknowledge
    from warehouse.alerts.texts import summary
    from warehouse.figures.published import publish_figures

    settings = Settings.from_environment()
    click.echo(summary(acknowledge(settings, alert_id, by=by, reason=reason)))
    publish_figures(settings)  # /metrics counts it as acknowledged, too


@alerts.command()
@click.option("--dead", "with_dead", is_flag=True, help="Also messages that were given up.")
def send(*, with_dead: bool) -> None:
    """Send now what is due or failed.

    Dagster's sensor alerts_to_send sends what is due every minute. Routes are declared in alert_routes.yml of the home
    (docs/alerts.md). Exit code 1: a message was not delivered.
    """
    from warehouse.alerts.routes import AlertOptions, read_routes
    from warehouse.alerts.sending import send_due

    settings = Settings.from_environment()
    routes = read_routes(settings, AlertOptions.from_environment())
    if not routes:
        click.echo(f"no route is declared: write {settings.alert_routes} (docs/alerts.md)")
        return
    sent = send_due(settings, without_rest=True, with_dead=with_dead)
    for each in sent:
        said = f"not delivered: {each.problem}" if each.problem else "delivered"
        click.echo(f"{each.route}: {each.title}: {said}{'; it is not tried again' if each.is_dead else ''}")
    for route in routes:
        if route.problem:
            click.echo(f"{route.name}: gets no alert: {route.problem}")
    if not sent:
        click.echo("nothing is due")
    if any(each.problem for each in sent) or any(each.problem for each in routes):
        raise click.exceptions.Exit(1)


@alerts.command("test-route")
@click.argument("name")
def test_route(name: str) -> None:
    """Send a test message to the route NAME. Exit code 1: it was not delivered."""
    from warehouse.alerts.sending import send_test

    problem = send_test(Settings.from_environment(), name)
    click.echo(f"{name}: not delivered: {problem}" if problem else f"{name}: delivered")
    if problem:
        raise click.exceptions.Exit(1)
