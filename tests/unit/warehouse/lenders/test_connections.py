"""What a lender's file may declare of databases and APIs, and what is refused with its key."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from warehouse.errors import SettingError
from warehouse.lenders.rules import read_lender, settings_text
from warehouse.settings import DBT_PROJECT_DIR

CORE = {"kind": "postgresql", "host": "core", "database": "core", "user": "reader", "secret_from": "env:CORE"}
BUREAU = {"kind": "http", "url": "https://api.bureau.example/v2", "auth": "bearer", "secret_from": "file:/run/token"}
LOANS = {"connection": "core", "table": "lending.loans", "row_key": ["loan_id"], "cursor": "updated_at"}
REPORTS = {"connection": "bureau", "path": "reports", "row_key": ["id"]}


def declared(tmp_path: Path, **keys: Any) -> Path:
    content = {"connections": {"core": CORE, "bureau": BUREAU}, "pulls": {"loans": LOANS, "reports": REPORTS}} | keys
    (tmp_path / "bank.yml").write_text(yaml.safe_dump(content))
    return tmp_path


def test_a_database_and_an_api_are_declared_once_each(tmp_path: Path) -> None:
    lender = read_lender("bank", declared(tmp_path, pull_every="hour"))

    assert (lender.connections["core"].kind, lender.connections["bureau"].kind) == ("postgresql", "http")
    assert [pull.is_of_table for pull in lender.pulls.values()] == [True, False]


@pytest.mark.parametrize(
    ("key", "changes", "message"),
    [
        ("core", {"password": "x"}, r"connections\.core has an unknown key: found password"),
        ("core", {"secret_from": "x"}, r"connections\.core\.secret_from must be env:NAME or file:/path"),
        ("core", {"options": {"password": "x"}}, r"connections\.core\.options must hold no secret.*: found password"),
        (
            "core",
            {"options": {"init_command": "x"}},
            r"options must leave out what Loanlake gives .*: found init_command",
        ),
        ("core", {"host": None}, r"host must be given for the kind postgresql: found nothing"),
        ("core", {"url": "https://x"}, r"url must not be given for the kind postgresql"),
        ("bureau", {"url": "https://me:word@x"}, r"url must be a URL such as .*, without user"),
        ("bureau", {"url": "http://api.bureau.example"}, r"url must begin with https:// if a secret is sent"),
        ("bureau", {"secret_from": None}, r"auth and secret_from must be given together"),
        ("bureau", {"auth": "basic"}, r"user must be given for the auth basic"),
        ("bureau", {"host": "x"}, r"host must not be given for the kind http"),
    ],
)
def test_a_connection_that_cannot_be_used_or_holds_a_secret_is_refused(
    tmp_path: Path, key: str, changes: dict[str, Any], message: str
) -> None:
    connections = {"core": CORE, "bureau": BUREAU}
    connections[key] = connections[key] | changes

    with pytest.raises(SettingError, match=message):
        read_lender("bank", declared(tmp_path, connections=connections))


def test_a_secret_may_be_sent_unencrypted_within_this_machine(tmp_path: Path) -> None:
    bureau = BUREAU | {"url": "http://127.0.0.1:8080/v2"}

    assert read_lender("bank", declared(tmp_path, connections={"core": CORE, "bureau": bureau})).pulls


@pytest.mark.parametrize(
    ("key", "changes", "message"),
    [
        ("loans", {"connection": "cor"}, r"pulls\.loans\.connection must name one of bureau, core: found 'cor'"),
        (
            "loans",
            {"connection": "bureau"},
            r"pulls\.loans must have a path, for its connection is http: found a table",
        ),
        ("loans", {"path": "x"}, r"table must be given for a database, or path for an API: found both"),
        ("loans", {"row_key": []}, r"row_key must be a list of columns"),
        (
            "loans",
            {"columns": ["amount"]},
            r"columns must have the row key and the cursor: missing loan_id, updated_at",
        ),
        ("loans", {"pages": "link"}, r"pages must not be given for a table"),
        ("reports", {"pages": "token"}, r"page_at must be given for pages: token"),
        ("reports", {"path": "https://elsewhere.example/x"}, r"path must be a path below the connection's url"),
        ("reports", {"parameters": {"api_key": "x"}}, r"parameters must hold no secret, .*: found api_key"),
        ("reports", {"since_parameter": "since"}, r"cursor must be given for a since_parameter"),
    ],
)
def test_a_pull_that_cannot_be_meant_is_refused(
    tmp_path: Path, key: str, changes: dict[str, Any], message: str
) -> None:
    pulls = {"loans": LOANS, "reports": REPORTS}
    pulls[key] = pulls[key] | changes

    with pytest.raises(SettingError, match=message):
        read_lender("bank", declared(tmp_path, pulls=pulls))


def test_sql_depends_on_no_connection() -> None:
    """A database that moves to another host would otherwise build every table again."""
    text = settings_text(DBT_PROJECT_DIR)

    assert "cut_off" in text
    assert "connections" not in text
    assert "pulls" not in text
