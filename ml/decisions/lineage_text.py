"""A decision's lineage for a terminal: a summary, or every step with its SQL and rows."""

from collections import Counter

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from ml.decisions.lineage import REPORTS, DecisionLineage, HistoryCheck, Rows

_LONGEST = 64  # a checksum fits
_MOST_LINES = 8


def lineage_summary(found: DecisionLineage) -> str:
    """The decision, its reasons, and the number of rows per table and lines per file behind it."""
    origins = Counter(each.origin.partition(":")[0].partition(",")[0] for each in found.inputs)
    n_missing = sum(feature.value is None for feature in found.features)
    lines = [f"decision {found.decision['decision_id']}", *_head(found), *(f"note: {note}" for note in found.notes), ""]
    lines += _reasons(found)
    lines.append(
        f"{len(found.features)} features ({n_missing} missing) from {len(found.inputs)} inputs: "
        + ", ".join(f"{n} {origin}" for origin, n in origins.items())
    )
    lines += ["", "rows"]
    lines += [f"  {step.table}, {step.role}: {len(step.rows)}" for step in (*found.core, *found.staging)]
    for step in found.raw:
        lines += [f"  {step.table}: {lines_read} of {file}" for file, lines_read in _lines_of_files(step).items()]
    lines += [f"  {_check(check)}" for check in found.checks]
    lines += ["", "each feature with its SQL, each input, and the rows themselves: --full, or --format json"]
    return "\n".join(lines)


def lineage_text(found: DecisionLineage) -> RenderableType:
    """The steps, last to first, with their SQL; long raw rows show only their first values."""
    parts: list[RenderableType] = [Text(f"decision {found.decision['decision_id']}", style="bold")]
    parts.append(Text("\n".join(_head(found))))
    parts += [Text(f"note: {note}", style="yellow") for note in found.notes]
    parts += [_features(found), _inputs(found)]
    parts += [
        _step("core and cohort rows", found.core),
        _step("staging rows", found.staging),
        _step("raw rows", found.raw),
    ]
    parts += [Text(_check(check)) for check in found.checks]
    return Group(*parts)


def _head(found: DecisionLineage) -> list[str]:
    decision, model = found.decision, found.model
    as_of = f"{decision['features_as_of']} UTC" if decision["features_as_of"] else "no time"
    return [
        f"{decision['decision']} (band {decision['band']}, probability {decision['probability']}) at "
        f"{decision['decided_at']} UTC, {decision['route']}",
        f"application {decision['application_id']} of {decision['source']}, "
        f"borrower {decision['borrower_id'] or 'none'}",
        f"by {model['model_name']} version {model['model_version']}, features {model['feature_version']}, trained on "
        f"snapshot {model['training_snapshot']}",
        f"history as of {as_of}; rows below are read "
        + ("as they stand" if found.snapshot is None else f"at lake snapshot {found.snapshot}"),
    ]


def _reasons(found: DecisionLineage) -> list[str]:
    features = {feature.name: feature for feature in found.features}
    reasons = found.decision.get("reasons")
    lines = []
    for reason in reasons if isinstance(reasons, list) else ():
        feature = features.get(reason["feature"])
        made_of = f" = {_short(feature.value)}, of {', '.join(feature.inputs)}" if feature else ""
        lines.append(f"reason: {reason['text']} ({reason['feature']}{made_of})")
    return lines


def _lines_of_files(step: Rows) -> dict[str, str]:
    by_file: dict[str, list[int]] = {}
    by_pull: dict[str, list[str]] = {}
    reports: dict[str, list[str]] = {}
    for row in step.rows:
        if step.table == REPORTS:
            reports.setdefault(str(row.get("caller_name", "a caller")), []).append(str(row["outcome_id"]))
        elif "pulled_from" in row:
            key = (
                f"at offset {row['topic_offset']} of partition {row['topic_partition']}"
                if "topic_offset" in row
                else ", ".join(f"{column} {row.get(column)}" for column in str(row["row_key"]).split(", "))
            )
            by_pull.setdefault(f"{row['pulled_from']}, pulled {str(row['pulled_at'])[:19]} UTC", []).append(key)
        else:
            by_file.setdefault(str(row.get("file")), []).append(int(str(row.get("line", 0))))
    lines = {file: _counted("line", list(map(str, sorted(numbers)))) for file, numbers in by_file.items()}
    lines |= {origin: _counted("row", keys) for origin, keys in by_pull.items()}
    return lines | {caller: _counted("report", ids) for caller, ids in reports.items()}


def _counted(what: str, found: list[str]) -> str:
    more = f" and {len(found) - _MOST_LINES} more" if len(found) > _MOST_LINES else ""
    return f"{what}{'s' if len(found) > 1 else ''} {', '.join(found[:_MOST_LINES])}{more}"


def _check(check: HistoryCheck) -> str:
    says = "agrees" if check.agrees else "DIFFERS"
    return f"{check.name}: logged {check.logged or 0}, rows found {check.found}: {says}"


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
