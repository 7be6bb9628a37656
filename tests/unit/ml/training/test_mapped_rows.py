"""A training set that lies on disk trains the same model as one that is held, to the byte."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest

from ml.families.protocol import Sample, StreamedSample
from ml.judging.evaluation import evaluate
from ml.judging.leakage import feature_signals
from ml.training.fitting import train
from ml.training.reference import build_reference
from ml.training.training_set import TrainingSet, read_training_set
from tests.model_factory import CONTRACT, SETTINGS, SOURCE, fill_lake
from warehouse.errors import TrainingSetError
from warehouse.lake.connection import connect
from warehouse.settings import Settings


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("lake") / "home")})
    fill_lake(settings)
    return settings


@pytest.fixture
def con(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(settings) as con:
        yield con


@pytest.fixture(scope="module")
def held(settings: Settings) -> TrainingSet:
    with connect(settings) as con:
        return read_training_set(con, SOURCE, feature_version="v1")


@pytest.fixture(scope="module")
def mapped(settings: Settings) -> TrainingSet:
    with pytest.MonkeyPatch.context() as patch, connect(settings) as con:
        patch.setattr("ml.training.training_set._MAPPED_BATCH_ROWS", 300)
        return read_training_set(con, SOURCE, feature_version="v1", most_bytes=0)


def test_rows_on_disk_are_the_rows_held(held: TrainingSet, mapped: TrainingSet) -> None:
    assert held.mapped is None
    assert mapped.mapped is not None
    assert mapped.sha256 == held.sha256
    for split in ("train", "tune", "test"):
        expected, found = held.rows(split), mapped.rows(split)
        assert list(found.columns) == list(expected.columns)
        assert found["application_id"].tolist() == expected["application_id"].tolist()
        assert found["purpose"].astype(object).tolist() == expected["purpose"].astype(object).tolist()
        assert np.array_equal(mapped.defaulted(split), held.defaulted(split))
        for name in ("loan_to_income", "income_verified", "max_months_past_due_6m"):
            assert np.array_equal(found[name].to_numpy(), expected[name].to_numpy(), equal_nan=True)


def test_a_column_on_disk_is_not_copied_into_memory(mapped: TrainingSet) -> None:
    values = mapped.rows("train")["loan_to_income"].to_numpy()

    owner = values
    while owner.base is not None and not isinstance(owner, np.memmap):
        owner = owner.base
    assert isinstance(owner, np.memmap)


def test_the_trees_are_the_same_to_the_byte(
    held: TrainingSet, mapped: TrainingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several batches, and a limit that the set exceeds: what a large one meets."""
    monkeypatch.setattr("ml.training.fitting.BATCH_ROWS", 150)
    monkeypatch.setattr("ml.training.samples.BATCH_ROWS", 150)
    settings = replace(SETTINGS, refit=True, half_life_months=6.0)
    expected, found = train(held, CONTRACT, settings), train(mapped, CONTRACT, settings)

    assert found.model.to_bytes() == expected.model.to_bytes()
    assert found.calibrator == expected.calibrator
    assert evaluate(found, mapped).to_dict() == evaluate(expected, held).to_dict()
    assert feature_signals(mapped, CONTRACT) == feature_signals(held, CONTRACT)
    theirs, ours = build_reference(expected, held, sample_rows=100), build_reference(found, mapped, sample_rows=100)
    assert ours.sample["application_id"].tolist() == theirs.sample["application_id"].tolist()
    assert ours.to_dict() == theirs.to_dict()


def test_the_files_go_with_the_training_set(con: duckdb.DuckDBPyConnection) -> None:
    rows = read_training_set(con, SOURCE, feature_version="v1", most_bytes=0)
    directory = rows.mapped.directory
    assert list(directory.iterdir())

    del rows

    assert not directory.exists()


def test_a_set_that_fits_is_held(con: duckdb.DuckDBPyConnection) -> None:
    assert read_training_set(con, SOURCE, feature_version="v1", most_bytes=10**9).mapped is None


def test_an_application_that_occurs_twice_is_refused_on_disk_too(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And leaves no files."""
    spill = Path(con.execute("select current_setting('temp_directory')").fetchall()[0][0])
    before = set(spill.glob("training-rows-*"))
    monkeypatch.setattr(
        "ml.training.training_set.statement_now",
        lambda *_, **__: (
            "select * from (from training.trn_default_v1 union all from training.trn_default_v1 "
            "where application_id = 'sim-7') order by application_id"
        ),
    )

    with pytest.raises(TrainingSetError, match=re.escape("found 1 more (application_id sim-7, …)")):
        read_training_set(con, SOURCE, feature_version="v1", most_bytes=0)
    assert set(spill.glob("training-rows-*")) == before


def test_the_baseline_draws_its_rows_evenly(mapped: TrainingSet, tmp_path: Path) -> None:
    rows = mapped.rows("train")
    design_matrix = train(replace(mapped), CONTRACT, SETTINGS).design_matrix
    sample = StreamedSample(rows, design_matrix.encode, mapped.defaulted("train"), tmp_path, 150)

    drawn = sample.drawn(100)

    assert (len(drawn.matrix), len(drawn.defaulted)) == (100, 100)
    assert drawn.matrix[0].tobytes() == design_matrix.encode(rows.iloc[:1]).tobytes()
    assert drawn.matrix[-1].tobytes() == design_matrix.encode(rows.iloc[-1:]).tobytes()
    in_memory = Sample(design_matrix.encode(rows), mapped.defaulted("train")).drawn(100)
    assert in_memory.matrix.tobytes() == drawn.matrix.tobytes()
