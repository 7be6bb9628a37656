"""The label, split and exposure rules of the dbt project, as of any day.

``dbt build`` writes ``lbl_default_splits`` and ``lbl_exposures`` as of each source's clock. dbt also compiles the same
models with the day left open (the var ``as_of``); this module combines that SQL into one query of what was known on a
day.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from warehouse.errors import ContractError

#: Value of the var ``as_of`` while the day is open.
DAY = "$as_of"
SPLITS_MODEL = "lbl_default_splits"
EXPOSURES_MODEL = "lbl_exposures"
#: One row per lender: the settings of its file.
LENDERS = "int_lenders"
#: The tables that the rule reads; the caller gives a relation for each.
RULE_INPUTS = (LENDERS, "int_applications", "int_application_versions", "int_statements", "int_outcome_versions")

#: What a day is asked about, and what each model says.
RESULTS = {SPLITS_MODEL: "splits the mature labels", EXPOSURES_MODEL: "says how long each loan was observed"}


@dataclass(frozen=True)
class LabelRule:
    """The models after the inputs, as ``(name, SQL)`` in build order; the SQL has ``{name}`` for relations."""

    steps: tuple[tuple[str, str], ...]

    @classmethod
    def from_manifest(cls, manifest: Path | Mapping[str, Any]) -> "LabelRule":
        """Read the compiled models; raises ContractError for a missing model, other inputs or an unused day."""
        parsed = json.loads(manifest.read_text()) if isinstance(manifest, Path) else manifest
        nodes: dict[str, Mapping[str, Any]] = {
            key: node for key, node in parsed["nodes"].items() if node["resource_type"] == "model"
        }
        steps: dict[str, str] = {}
        for name, what in RESULTS.items():
            last = next((key for key, node in nodes.items() if node["name"] == name), None)
            if last is None:
                raise ContractError(f"the dbt project must have a model {name}, which {what}")
            _collect(nodes, last, steps)
        if not any(DAY in sql for sql in steps.values()):
            raise ContractError(
                f"no model that {SPLITS_MODEL} is made from asks the dbt variable as_of: labels of a past day cannot "
                "be distinguished from those known later"
            )
        return cls(tuple(steps.items()))

    def query(self, day: datetime, relations: Mapping[str, str], model: str = SPLITS_MODEL) -> str:
        """One query of a model as of the start of ``day``; ``relations``: one for each input."""
        names = {**relations, **{name: f"rule_{name}" for name, _ in self.steps}}
        parts = [
            f"{names[name]} as ({sql.format_map(names).replace(DAY, day.isoformat(sep=' '))}\n)"
            for name, sql in self.steps
        ]
        return f"with {', '.join(parts)}\nfrom {names[model]}"


def _collect(nodes: Mapping[str, Mapping[str, Any]], key: str, steps: dict[str, str]) -> None:
    node = nodes[key]
    sql = node.get("compiled_code")
    if not sql:
        raise ContractError(f"{key} is not compiled: run `dbt compile` with it selected")
    sql = sql.replace("{", "{{").replace("}", "}}")
    for parent in node["depends_on"]["nodes"]:
        found = nodes.get(parent)
        if found is None:
            raise ContractError(f"{key} must read models only, so that it can be asked as of a day: it reads {parent}")
        if found["name"] not in (*RULE_INPUTS, *steps):
            _collect(nodes, parent, steps)
        sql = sql.replace(found["relation_name"], f"{{{found['name']}}}")
    steps[node["name"]] = sql
