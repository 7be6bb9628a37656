"""A decision's lineage as people read it in a terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from ml.decision_lineage import DecisionLineage, Rows

_LONGEST = 64  # a checksum fits


def lineage_text(found: DecisionLineage) -> RenderableType:
    """The steps, last to first, each with its SQL; long raw rows show their first values, JSON has them whole."""
    decision, model = found.decision, found.model
    as_of = f"{decision['features_as_of']} UTC" if decision["features_as_of"] else "no time"
    head = Text(
        f"{decision['decision']} (band {decision['band']}, probability {decision['probability']}) at "
        f"{decision['decided_at']} UTC, {decision['route']}\n"
        f"application {decision['application_id']} of {decision['source']}, "
        f"borrower {decision['borrower_id'] or 'none'}\n"
        f"by {model['model_name']} version {model['model_version']}, features {model['feature_version']}, trained on "
        f"snapshot {model['training_snapshot']}\n"
        f"history as of {as_of}; rows below are read "
        + ("as they stand" if found.snapshot is None else f"at lake snapshot {found.snapshot}")
    )
    parts: list[RenderableType] = [Text(f"decision {decision['decision_id']}", style="bold"), head]
    parts += [Text(f"note: {note}", style="yellow") for note in found.notes]
    parts += [_features(found), _inputs(found)]
    parts += [
        _step("core and cohort rows", found.core),
        _step("staging rows", found.staging),
        _step("raw rows", found.raw),
    ]
    for check in found.checks:
        says = "agrees" if check.agrees else "DIFFERS"
        parts.append(Text(f"{check.name}: logged {check.logged or 0}, rows found {check.found}: {says}"))
    return Group(*parts)


def _features(found: DecisionLineage) -> Table:
    table = _table("features", "feature", "value", "SQL", "reads")
    for feature in found.features:
        table.add_row(feature.name, _short(feature.value), Text(feature.sql), ", ".join(feature.inputs))
    return table


def _inputs(found: DecisionLineage) -> Table:
    table = _table("inputs", "input", "value", "origin", "came from")
    for each in found.inputs:
        table.add_row(each.name, _short(each.value), each.origin, each.came_from)
    return table


def _step(title: str, steps: tuple[Rows, ...]) -> Tree:
    tree = Tree(Text(title, style="bold"))
    for step in steps:
        branch = tree.add(Text(f"{step.table}, {step.role}: {len(step.rows)} row{'' if len(step.rows) == 1 else 's'}"))
        branch.add(Text(step.sql, style="dim"))
        for row in step.rows:
            branch.add(Text(", ".join(f"{name} {_short(value)}" for name, value in list(row.items())[:12])))
    return tree


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _short(value: object) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
