"""The dbt project's macros, called from a test without dbt: what they render is SQL that DuckDB runs at once."""

import re
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined

from warehouse.settings import DBT_PROJECT_DIR

_MACRO = re.compile(r"{%-? macro (\w+)\(.*?{%-? endmacro -?%}", re.DOTALL)


class _Returned(Exception):
    """What a macro hands back by ``return``, as dbt does it."""


def _return(value: object) -> None:
    raise _Returned(value)


def _refuse(message: str) -> None:
    raise ValueError(message)


@cache
def macros() -> dict[str, Callable[..., Any]]:
    """Name → the macro, for DuckDB."""
    return macros_within()


def macros_within(**context: Any) -> dict[str, Callable[..., Any]]:
    """As :func:`macros`; ``context``: what dbt would give beside, such as the graph."""
    environment = Environment(extensions=["jinja2.ext.do"])
    found: dict[str, Callable[..., Any]] = {}

    def dispatch(name: str, package: str = "") -> Callable[..., Any]:
        return found[f"default__{name}"]

    dbt = SimpleNamespace(
        type_string=lambda: "varchar",
        string_literal=lambda text: f"'{text}'",
        escape_single_quotes=lambda text: text.replace("'", "''"),
    )
    environment.globals |= {
        "return": _return,
        "adapter": SimpleNamespace(dispatch=dispatch, quote=lambda name: f'"{name}"'),
        "dbt": dbt,
        "exceptions": SimpleNamespace(raise_compiler_error=_refuse),
        "source": lambda schema, table: f"{schema}.{table}",
        "ref": lambda model: model,
        "this": "this_model",
    }
    for path in DBT_PROJECT_DIR.glob("macros/**/*.sql"):
        for match in _MACRO.finditer(path.read_text()):
            found[match[1]] = _callable(environment, match[0], match[1])
    found["is_newly_loaded"] = lambda loaded_at: "true"  # every line is new
    found["changes_of"] = lambda table, _build: f"changes_of_{table}"
    environment.globals |= found | context
    return found


def model_sql(model: str, folder: str = "monitoring") -> str:
    """The SQL of a model for DuckDB, with the project's own variables; tables have their plain names."""
    variables = yaml.safe_load((DBT_PROJECT_DIR / "dbt_project.yml").read_text())["vars"]
    environment = Environment(undefined=StrictUndefined)
    environment.globals |= macros() | {
        "ref": lambda name: name,
        "source": lambda schema, table: f"{schema}.{table}",
        "var": variables.__getitem__,
        "dbt": {"type_string": lambda: "varchar"},
    }
    return environment.from_string((DBT_PROJECT_DIR / "models" / folder / f"{model}.sql").read_text()).render()


def _callable(environment: Environment, text: str, name: str) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return str(getattr(template.module, name)(*arguments, **named))
        except _Returned as returned:
            return returned.args[0]

    template = environment.from_string(text)
    return call
