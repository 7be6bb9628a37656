"""``route`` and ``role`` have one vocabulary, in code, SQL and documentation."""

import re
from typing import get_args

import pytest

from warehouse.decision_log import RoleWord, RouteWord
from warehouse.lake.comments import description
from warehouse.settings import REPOSITORY

WORDS = {"route": set(get_args(RouteWord)), "role": set(get_args(RoleWord))}
#: A role in monitoring.performance_estimates alone: of a version that decides no more.
REPLACED = "replaced"
_COMPARED = re.compile(r"\b(route|role)\s*(?:<>|!=|=|in)\s*\(?((?:'\w+'(?:,\s*)?)+)")


def test_sql_asks_for_no_other_word() -> None:
    asked = {
        (column, word)
        for folder in ("warehouse", "ml", "serving", "orchestration", "docs")
        for path in (REPOSITORY / folder).rglob("*")
        if path.suffix in {".py", ".sql", ".yml", ".md"} and "target" not in path.parts
        for column, words in _COMPARED.findall(path.read_text())
        for word in re.findall(r"\w+", words)
    }

    assert {word for column, word in asked if word not in WORDS[column]} == {REPLACED}
    assert {("route", "backfill"), ("route", "inline_batch"), ("role", "challenger")} <= asked


@pytest.mark.parametrize("column", ["route", "role"])
def test_the_tables_describe_every_word(column: str) -> None:
    texts = [description(f"serving.{table}", column) for table in ("predictions", "shadow_predictions")]

    assert {word for word in WORDS[column] if not any(re.search(rf"\b{word}\b", text) for text in texts)} == set()
