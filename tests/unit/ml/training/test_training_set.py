"""Reading from a real lake: types, splits, snapshots, and a hash that moves with every bit."""

import math
import random
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ml.training.training_set import ContentHash, read_training_set, rows_seen_by
from tests.model_factory import SOURCE, fill_lake
from warehouse.errors import LakeError, NotFoundError, TrainingSetError
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings

N = 400


@pytest.fixture(scope="module")
def filled_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("filled"))})
    fill_lake(settings, N)
    return settings.home


@pytest.fixture
def lake(home: Settings, filled_home: Path) -> Settings:
    """A lake of the test's own: to copy one takes a tenth of the time of filling it."""
    shutil.copytree(filled_home, home.home)
    return home


def _write(settings: Settings, sql: str) -> None:
    with writer("test", settings) as con:
        con.execute(sql)


def _hash(table: pa.Table, rows_per_batch: int = 1000) -> str:
    digest = ContentHash()
    for batch in table.to_batches(max_chunksize=rows_per_batch):
        digest.update(batch)
    return digest.hexdigest()


def test_features_are_floats_with_nan_for_missing_and_categories(lake: Settings) -> None:
    """Integers and booleans with nulls arrive as objects from the stock conversion, which no model reads."""
    with connect(lake) as con:
        frame = read_training_set(con, SOURCE, feature_version="v1").frame
        stored = con.execute("select * from training.trn_default_v1 order by application_id").fetchall()
        names = [column[0] for column in con.description or []]

    assert {str(frame[name].dtype) for name in ("max_months_past_due_6m", "income_verified", "loan_to_income")} == {
        "float64"
    }
    assert frame["is_default"].dtype == np.bool_
    assert str(frame["purpose"].dtype) == "category"
    for name in ("max_months_past_due_6m", "income_verified"):
        found = [None if math.isnan(value) else value for value in frame[name]]
        assert found == [row[names.index(name)] for row in stored]
        assert None in found


def test_each_split_keeps_its_rows_and_outcomes_in_order(lake: Settings) -> None:
    with connect(lake) as con:
        rows = read_training_set(con, SOURCE, feature_version="v1")

    assert sum(len(rows.rows(split)) for split in ("train", "tune", "test")) == N
    assert rows.rows("tune")["split"].unique().tolist() == ["tune"]
    assert rows.rows("test")["application_id"].is_monotonic_increasing
    assert rows.defaulted("test").tolist() == rows.rows("test")["is_default"].tolist()


def test_a_snapshot_reads_what_it_read_before_the_table_was_rebuilt(lake: Settings) -> None:
    with connect(lake) as con:
        before = read_training_set(con, SOURCE, feature_version="v1")
    _write(lake, "create or replace table training.trn_default_v1 as select * from training.trn_default_v1 limit 300")

    with connect(lake) as con:
        again = read_training_set(con, SOURCE, feature_version="v1", snapshot=before.snapshot)
        by_statement = con.execute(before.statement).fetchall()
        after = read_training_set(con, SOURCE, feature_version="v1")

    assert again.sha256 == before.sha256
    assert len(by_statement) == N
    assert len(after.frame) == 300
    assert after.sha256 != before.sha256


def test_the_hash_does_not_depend_on_the_order_of_storage(lake: Settings) -> None:
    with connect(lake) as con:
        before = read_training_set(con, SOURCE, feature_version="v1").sha256
    _write(
        lake,
        "create or replace table training.trn_default_v1 as select * from training.trn_default_v1 order by random()",
    )

    with connect(lake) as con:
        assert read_training_set(con, SOURCE, feature_version="v1").sha256 == before


def test_other_sources_rows_are_not_read(lake: Settings) -> None:
    with connect(lake) as con:
        before = read_training_set(con, SOURCE, feature_version="v1").sha256
    _write(
        lake,
        "insert into training.trn_default_v1 "
        "select * replace ('x-' || application_id as application_id, 'x' as source) from training.trn_default_v1",
    )

    with connect(lake) as con:
        found = read_training_set(con, SOURCE, feature_version="v1")

    assert found.sha256 == before
    assert set(found.frame["source"]) == {SOURCE}


TABLE = pa.table(
    {
        "amount": pa.array([1.5, None, -0.0], pa.float64()),
        "count": pa.array([1, 2, None], pa.int32()),
        "verified": pa.array([True, None, False]),
        "purpose": pa.array(["car", "", None]),
        "decided_at": pa.array([0, 1, 2], pa.timestamp("us")),
        "opened_on": pa.array([0, None, 2], pa.date32()),
    }
)


def _with(column: str, values: list[object], *, data_type: pa.DataType | None = None) -> pa.Table:
    position = TABLE.schema.get_field_index(column)
    return TABLE.set_column(position, column, pa.array(values, data_type or TABLE.schema.field(column).type))


@pytest.mark.parametrize(
    "changed",
    [
        _with("amount", [math.nextafter(1.5, 2), None, -0.0]),
        _with("amount", [1.5, None, 0.0]),
        _with("amount", [1.5, 0.0, -0.0]),
        _with("count", [1, 2, 0]),
        _with("verified", [True, False, False]),
        _with("purpose", ["car", None, ""]),
        _with("purpose", ["ca", "r", None]),
        _with("decided_at", [0, 1, 3]),
        _with("opened_on", [0, 0, 2]),
        _with("count", [1, 2, None], data_type=pa.int64()),
        TABLE.rename_columns(["amount", "n", "verified", "purpose", "decided_at", "opened_on"]),
        TABLE.slice(0, 2),
        TABLE.take([1, 0, 2]),
    ],
    ids=[
        "last bit", "sign of zero", "null to zero", "null integer to zero", "null to false", "null and empty text",
        "text moved between rows", "microsecond", "null date to the epoch", "type", "column name", "row left out",
        "row order",
    ],
)  # fmt: skip
def test_the_hash_moves_with_every_bit(changed: pa.Table) -> None:
    assert _hash(changed) != _hash(TABLE)


def test_the_hash_does_not_depend_on_batches_or_slices() -> None:
    """Readers cut rows where they like, and a slice shares its parent's buffers."""
    many = pa.concat_tables([TABLE] * 50)
    whole = _hash(many)
    cuts = sorted(random.Random(4).sample(range(1, 150), 10))
    slices = [many.slice(start, stop - start) for start, stop in zip([0, *cuts], [*cuts, 150], strict=True)]

    digest = ContentHash()
    for piece in slices:
        for batch in piece.combine_chunks().to_batches():
            digest.update(batch)

    assert _hash(many, rows_per_batch=7) == whole
    assert digest.hexdigest() == whole


def test_a_lake_without_the_table_says_what_to_run(home: Settings) -> None:
    _write(home, "select 1")

    with (
        connect(home) as con,
        pytest.raises(NotFoundError, match=r"trn_default_v1 must exist .* build it with `loanlake run`"),
    ):
        read_training_set(con, SOURCE, feature_version="v1")


def test_a_snapshot_that_never_was_is_not_found(lake: Settings) -> None:
    with connect(lake) as con, pytest.raises(NotFoundError, match="at snapshot 9999"):
        read_training_set(con, SOURCE, feature_version="v1", snapshot=9999)


def test_a_champion_of_another_version_sees_the_same_applications_by_its_own_features(lake: Settings) -> None:
    """Rows in another order, and a feature that only that version has."""
    _write(
        lake,
        "create or replace table training.trn_default_v2 as "
        "select *, requested_amount * 2 as twice_the_amount from training.trn_default_v1 order by random()",
    )

    with connect(lake) as con:
        rows = read_training_set(con, SOURCE, feature_version="v1")
        seen = rows_seen_by(con, rows, "test", feature_version="v2")

    assert seen["application_id"].tolist() == rows.rows("test")["application_id"].tolist()
    assert (seen["twice_the_amount"].to_numpy() == 2 * rows.rows("test")["requested_amount"].to_numpy()).all()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "create or replace table training.trn_default_v2 as select * from training.trn_default_v1 limit 9",
            "the same",
        ),
        ("drop table if exists training.trn_default_v2", "exist"),
    ],
    ids=["other applications", "no table"],
)
def test_a_version_that_is_no_longer_built_cannot_be_compared(lake: Settings, table: str, message: str) -> None:
    _write(lake, table)

    with connect(lake) as con:
        rows = read_training_set(con, SOURCE, feature_version="v1")
        with pytest.raises(NotFoundError, match=f"trn_default_v2 must .*{message}"):
            rows_seen_by(con, rows, "test", feature_version="v2")


def test_an_unknown_source_is_not_found(lake: Settings) -> None:
    with connect(lake) as con, pytest.raises(NotFoundError, match=r"no rows of source \"o'hara\" at"):
        read_training_set(con, "o'hara", feature_version="v1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("delete from training.trn_default_v1 where split = 'tune'", "found 0 defaults in 0 rows of tune"),
        (
            "update training.trn_default_v1 set is_default = false where split = 'test'",
            "found 0 defaults in .* of test",
        ),
        ("update training.trn_default_v1 set is_default = null where application_id = 'sim-7'", "1 have none"),
        ("insert into training.trn_default_v1 select * from training.trn_default_v1 limit 2", "found 2 more"),
    ],
    ids=["an empty split", "one outcome", "no label", "an application twice"],
)
def test_rows_that_cannot_train_are_refused(lake: Settings, change: str, message: str) -> None:
    _write(lake, change)

    with connect(lake) as con, pytest.raises(TrainingSetError, match=message):
        read_training_set(con, SOURCE, feature_version="v1")


def test_an_error_of_the_lake_itself_is_not_disguised(lake: Settings) -> None:
    """A missing file of the lake is no missing table: its own message must reach the user."""
    for path in (lake.home / "lake" / "data" / "training").rglob("*.parquet"):
        path.unlink()

    with connect(lake) as con, pytest.raises(LakeError, match="No such file"):
        read_training_set(con, SOURCE, feature_version="v1")
