"""Columns of the lake's tables."""

from typing import Any

import pytest

from orchestration.lineage import columns
from orchestration.lineage.columns import LakeColumns
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings


def test_many_look_ups_open_the_lake_once_and_see_what_was_written_since(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening it for each table made the events of a busy machine late, and 20 of 88 were lost at the run's end."""
    opened: list[Any] = []
    monkeypatch.setattr(columns, "connect", lambda settings: opened.append(connect(settings)) or opened[-1])
    with writer("test", home) as con:
        con.execute("create schema if not exists core; create table core.int_loans (loan_id varchar)")
    found = LakeColumns(home)

    before = found.of("core.int_loans")
    with writer("test", home) as con:
        con.execute("alter table core.int_loans add column amount double")

    assert before == [("loan_id", "VARCHAR", None)]
    assert found.of("core.int_loans") == [("loan_id", "VARCHAR", None), ("amount", "DOUBLE", None)]
    assert found.of("model.candidate") is None
    assert len(opened) == 1
    opened[0].close()
    assert found.of("core.int_loans") is not None
    found.close()
