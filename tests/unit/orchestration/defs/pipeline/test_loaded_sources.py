"""Which lenders' files the lake holds, and whether that can be told."""

from dataclasses import replace

import pytest

from orchestration.defs.pipeline.loaded_sources import loaded_sources
from warehouse.errors import LakeError
from warehouse.lake.connection import writer
from warehouse.settings import Settings


def test_before_there_is_a_lake_no_lender_was_loaded(home: Settings) -> None:
    assert loaded_sources(home) == frozenset()


def test_lenders_with_a_file_in_the_lake_were_loaded(home: Settings) -> None:
    with writer("a test", home) as con:
        con.execute("insert into raw.files (source, entity, file) values ('bank', 'loans', 'a.csv')")

    assert loaded_sources(home) == {"bank"}


def test_a_lake_that_cannot_be_read_is_an_error_and_not_an_empty_one(home: Settings) -> None:
    """The simulated lender would have been made anew, and a run been told that no file was loaded yet."""
    with pytest.raises(LakeError, match="the lake's catalog cannot be opened"):
        loaded_sources(replace(home, catalog="host=127.0.0.1 port=1 dbname=none connect_timeout=2"))
