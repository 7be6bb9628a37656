"""``loanlake dev``: the lakes that people build for themselves."""

import click

from warehouse.settings import Settings


@click.group()
def dev() -> None:
    """List or drop the lakes that people build with dbt for themselves (its target dev).

    `dbt build` in warehouse/ builds into yours, which reads production's sources as they are when it begins; nothing in
    production waits. `loanlake sql` shows it as dev beside the lake.
    """


@dev.command("list")
def list_lakes() -> None:
    """Show whose lakes there are."""
    from warehouse.lake.dev_lakes import dev_lakes

    settings = Settings.from_environment()
    names = dev_lakes(settings)
    for name in names:
        click.echo(f"{name}{' (yours)' if name == settings.dev_name else ''}")
    if not names:
        click.echo("nobody has a lake of their own: `dbt build` in warehouse/ makes one")


@dev.command()
@click.argument("name", required=False)
def drop(*, name: str | None) -> None:
    """Delete your lake, or that of NAME, with its files; `dbt build` makes it again."""
    from warehouse.lake.dev_lakes import drop_dev_lake

    settings = Settings.from_environment()
    drop_dev_lake(settings, name or settings.dev_name)
    click.echo(f"the dev lake of {name or settings.dev_name} is dropped")
