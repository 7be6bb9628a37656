"""The rows that trained a version, again: equal in every format, refused when they are not the same."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from ml.commands import training_set
from ml.registry import training_set_export
from ml.registry.training_set_export import export_training_set
from ml.rollout.promotion import publish
from ml.training.training_set import ContentHash
from tests import model_factory
from tests.model_factory import MODEL_NAME, SOURCE
from warehouse.errors import LakeError, NotFoundError, SettingError, TrainingSetError
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings

N = 2000


@pytest.fixture(scope="module")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home whose version 1 was trained on its lake, which has moved on since: rows gone, labels restated."""
    settings = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("trained"))})
    model_factory.fill_lake(settings, N)
    bundle = model_factory.write_model(settings.candidates / "one", *model_factory.trained(settings))
    publish(settings, model_factory.register_model(settings, bundle), by="tests")
    with writer("restatement", settings) as con:
        con.execute("delete from training.trn_default_v1 where application_id < 'sim-2'")
        con.execute("update training.trn_default_v1 set is_default = not is_default")
    return settings


def test_parquet_holds_the_rows_that_trained_it_bit_by_bit(trained_home: Settings, tmp_path: Path) -> None:
    found = export_training_set(trained_home, 1, source=SOURCE, to=tmp_path / "rows.parquet")

    digest = ContentHash()
    for batch in pyarrow.parquet.read_table(tmp_path / "rows.parquet").to_batches():
        digest.update(batch)
    assert digest.hexdigest() == found.sha256
    assert found.n_rows == N


def test_json_and_csv_hold_the_same_rows(trained_home: Settings, tmp_path: Path) -> None:
    found = export_training_set(trained_home, 1, source=SOURCE, to=tmp_path / "rows.json")
    export_training_set(trained_home, 1, source=SOURCE, to=tmp_path / "rows.csv")

    with connect(trained_home) as con:
        expected = con.execute(found.statement).to_arrow_table().to_pylist()
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["loan_to_income"] for row in rows] == [row["loan_to_income"] for row in expected]
    assert [row["decided_at"] for row in rows] == [row["decided_at"].isoformat() for row in expected]
    read_back = pyarrow.csv.read_csv(tmp_path / "rows.csv").to_pylist()
    assert [row["loan_to_income"] for row in read_back] == [row["loan_to_income"] for row in expected]


def test_rows_are_read_in_batches(trained_home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training set larger than memory must come through; the hash does not depend on where it was cut."""
    monkeypatch.setattr(training_set_export, "BATCH_ROWS", 300)

    found = export_training_set(trained_home, 1, source=SOURCE, to=tmp_path / "rows.parquet")

    assert pyarrow.parquet.ParquetFile(tmp_path / "rows.parquet").num_row_groups > 1
    assert found.n_rows == N


def _adopt(settings: Settings, path: Path) -> None:
    """Make the catalog take a changed data file for its own."""
    content = path.read_bytes()
    with closing(sqlite3.connect(settings.lake_catalog)) as catalog:
        changed = catalog.execute(
            "update ducklake_data_file set file_size_bytes = ?, footer_size = ? where path = ?",
            (len(content), int.from_bytes(content[-8:-4], "little"), path.name),
        )
        assert changed.rowcount == 1
        catalog.commit()


def test_rows_that_are_not_those_of_the_lineage_leave_no_file(
    trained_home: Settings, tmp_path: Path, home: Settings
) -> None:
    """A data file changed behind the catalog's back would otherwise pass for the training set."""
    shutil.copytree(trained_home.home, home.home)
    files = (home.home / "lake" / "data" / "training" / "trn_default_v1").glob("*.parquet")
    path = max(files, key=lambda file: pyarrow.parquet.ParquetFile(file).metadata.num_rows)
    table = pyarrow.parquet.read_table(path)
    amount = table.schema.get_field_index("requested_amount")
    changed = pyarrow.compute.add(table["requested_amount"], 1e-9)
    pyarrow.parquet.write_table(table.set_column(amount, table.schema.field(amount), changed), path)

    damaged = CliRunner().invoke(training_set, ["1", "--lender", SOURCE, "--to", str(tmp_path / "rows.csv")])
    _adopt(home, path)
    result = CliRunner().invoke(training_set, ["1", "--lender", SOURCE, "--to", str(tmp_path / "rows.csv")])

    assert isinstance(damaged.exception, LakeError)
    assert isinstance(result.exception, TrainingSetError)
    lineage = json.loads((home.bundles / MODEL_NAME / "1" / "lineage.json").read_text())
    assert lineage["training_set_sha256"] in str(result.exception)
    assert list(tmp_path.glob("*rows*")) == []


def test_an_expired_snapshot_is_said_to_be_gone(trained_home: Settings, home: Settings) -> None:
    shutil.copytree(trained_home.home, home.home)
    with writer("test", home) as con:
        con.execute("call ducklake_expire_snapshots('lake', older_than => now())")

    with pytest.raises(NotFoundError, match=r"must exist at snapshot .* expired"):
        export_training_set(home, 1, source=SOURCE)


def test_another_kind_of_file_is_refused_before_anything_is_read(trained_home: Settings, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"written to \.parquet, \.csv, \.json: found 'rows\.xlsx'"):
        export_training_set(trained_home, 1, source=SOURCE, to=tmp_path / "rows.xlsx")


def test_the_command_says_which_rows_and_how_to_read_them(
    trained_home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOANLAKE_HOME", str(trained_home.home))

    result = CliRunner().invoke(training_set, ["1", "--lender", SOURCE])

    assert result.exit_code == 0, result.output
    assert f"{MODEL_NAME} version 1 was trained and judged on 2,000 rows (train" in result.output
    assert "select * from training.trn_default_v1 at (version => " in result.output
