"""The generated page ``docs/lender-file.md``: every key of a lender's file, from the dataclasses that read it."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from warehouse.lenders.keys import Key, holds
from warehouse.lenders.lender import Lender

_TOP = """# The lender file

`warehouse/lenders/<lender>.yml` has the settings of one lender. Every key has a default, and nothing of one file
changes another lender. An unknown key, or a value that cannot be used, stops the commands about this lender with the
file, the key, what is required, and what was found. Builds for other lenders continue: they keep the rows of this one
as they were last built, and dbt, `loanlake run` and `loanlake status` name it. `make lint-sql` checks all files. It
also checks that each file has its line under `lenders` in `warehouse/dbt_project.yml`, and each line its file.
[bring-your-own-lender.md](bring-your-own-lender.md) shows how to bring a lender. `make docs` writes this page from the
declarations in `warehouse/lenders/lender.py`.

```yaml
title: My Bank
label: {window_months: 12}
split: {test_months: 3}
policy:
  cut_off: {rule: approval_rate, approval_rate: 0.7}
  refer_width: 0.02
  bands: {low: 0.05, moderate: 0.15, high: 1}
request: {required: [annual_income]}
reasons: {annual_income: The declared income is low for the amount}
gates:
  max_feature_auc: {limit: 0.95, reason: "The bureau's score of the day decides most; minutes 2026-11"}
honest_features:
  bureau_score: Bought at the application, before the decision
publish: {mode: never, reason: The model committee decides on each version}
limits: {annual_rate: [0, 5]}
```

## When a change is in force

| keys | in force |
| --- | --- |
| `dates`, `label`, `split`, `cohort`, `set_aside` | from the next build; SQL reads them in `core.int_lenders` |
| `files` | from the next file that is loaded |
| `connections`, `pulls` | from the next pull ([connections.md](connections.md)) |
| `connections`, `streams`, `decisions_to` | when `loanlake stream`, or `up`, starts again ([streams.md](streams.md)) |
| `pull_every` | when Dagster next loads its definitions: *Reload definitions*, or `loanlake up` again |
| `limits` | from the next build, and for requests with the next model |
| `model`, `policy`, `reasons` | with the next model; where one is served, a person decides on the change |
| `gates`, `honest_features`, `publish` | from the next run, which judges the same candidate again without training |
| `request` | when the API next loads a model: at its start, or with the next promotion |

## Keys

| key | what it sets | value | default |
| --- | --- | --- | --- |
"""


def lender_page() -> str:
    """The page."""
    return _TOP + "\n".join(_rows(Lender, "")) + "\n"


def _rows(kind: type, prefix: str) -> Iterator[str]:
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        if prefix or field.name != "path":
            yield from _rows_of(hints[field.name], f"{prefix}{field.name}", field)


def _rows_of(hint: Any, name: str, field: "dataclasses.Field[Any] | None") -> Iterator[str]:
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if (nested := holds(plain)) is not None:
        yield from _rows(nested, f"{name}.")
    elif get_origin(plain) is Mapping:
        yield from _rows_of(get_args(plain)[1], f"{name}.<name>", None)
    else:
        key = next(each for each in hint.__metadata__ if isinstance(each, Key))
        must = key.must.replace("|", "\\|")
        yield f"| `{name}` | {key.says} | {must} | {_default(field)} |"


def _default(field: "dataclasses.Field[Any] | None") -> str:
    if field is None or field.default in (None, "", ()):
        return "not set"
    if field.default is dataclasses.MISSING:
        return "required"
    return f"`{', '.join(field.default) if isinstance(field.default, tuple) else field.default}`"
