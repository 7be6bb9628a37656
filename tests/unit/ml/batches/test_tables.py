"""Tables scored lake to file: the scores that the rows get alone, every row once, bad ones with their reason."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ml.batches.results import ResultColumns
from ml.batches.tables import find_table, score_table
from ml.bundle.feature_rows import model_columns
from ml.bundle.scorer import Scorer
from tests.model_factory import CONTRACT, fill_lake, publish_model, shared_bundle
from warehouse.errors import BatchTableError
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings

TABLE = "features.ftr_application_v1"


def scored(settings: Settings, path: Path, *, table: str = TABLE, **options: Any) -> list[dict[str, Any]]:
    bundle = shared_bundle()
    with connect(settings) as con:
        found = find_table(con, table, bundle)
    common = ResultColumns.of("b-1", publish_model(settings))
    score_table(settings, found, bundle, common=common, path=path, **options)
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def test_rows_of_a_table_get_the_scores_they_get_alone(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In many small batches, by two threads: the model's scores are those of the API's served form to the bit."""
    monkeypatch.setattr("ml.batches.tables.BATCH_ROWS", 64)
    fill_lake(home, 1000)
    scorer = Scorer(shared_bundle())
    with connect(home) as con:
        names = ", ".join(CONTRACT.feature_names)
        table = con.execute(f"select application_id, {names} from {TABLE}").fetchall()

    found = scored(home, tmp_path / "results.parquet", threads=2, with_reasons=True)

    assert [row["row_number"] for row in found] == list(range(1, 1001))
    assert [row["application_id"] for row in found] == [application_id for application_id, *_ in table]
    alone = [scorer.score(features) for _, *features in table]
    assert [(row["raw_score"], row["probability"]) for row in found] == [(one.raw, one.probability) for one in alone]
    assert [(row["probability_low"], row["probability_high"]) for row in found] == [
        (one.low, one.high) for one in alone
    ]
    assert [(row["band"], row["decision"]) for row in found] == [(one.band, one.decision) for one in alone]
    assert [row["reasons"] is not None for row in found] == [one.decision != "approve" for one in alone]


def test_rows_without_an_id_of_an_unknown_category_or_with_an_infinite_number_are_refused(
    home: Settings, tmp_path: Path
) -> None:
    fill_lake(home, 40)
    with writer("test", home) as con:
        con.execute(f"update {TABLE} set application_id = null where application_id = 'sim-3'")
        con.execute(f"update {TABLE} set purpose = 'boat' where application_id = 'sim-5'")
        con.execute(f"update {TABLE} set purpose = null where application_id = 'sim-7'")
        con.execute(f"update {TABLE} set loan_to_income = 'infinity' where application_id = 'sim-9'")
        con.execute(f"update {TABLE} set loan_to_income = null where application_id = 'sim-11'")

    found = scored(home, tmp_path / "results.parquet")

    refused = {row["application_id"]: row["problem"] for row in found if row["problem"] is not None}
    assert set(refused) == {None, "sim-5", "sim-9"}
    assert '"found":"boat"' in refused["sim-5"]
    assert '"found":"inf"' in refused["sim-9"]
    of_refused = [row for row in found if row["problem"] is not None]
    assert {row[name] for row in of_refused for name in ("probability", "probability_low", "probability_high")} == {
        None
    }
    assert {row["decision"] for row in found if row["problem"] is None} <= {"approve", "decline"}
    assert len(found) == 40


def test_rows_of_another_lender_get_no_score_of_this_model(home: Settings, tmp_path: Path) -> None:
    fill_lake(home, 40)
    with writer("test", home) as con:
        con.execute(f"update {TABLE} set source = 'northbank' where application_id = 'sim-3'")

    found = scored(home, tmp_path / "results.parquet")

    [refused] = [row for row in found if row["problem"] is not None]
    assert (refused["application_id"], refused["probability"]) == ("sim-3", None)
    assert '"field":"source"' in refused["problem"]
    assert '"found":"northbank"' in refused["problem"]


def test_an_empty_table_has_empty_results(home: Settings, tmp_path: Path) -> None:
    fill_lake(home, 40)
    with writer("test", home) as con:
        con.execute(f"delete from {TABLE}")

    assert scored(home, tmp_path / "results.parquet") == []


def test_what_is_raised_on_the_way_ends_the_scoring(
    home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.batches.tables.BATCH_ROWS", 64)
    fill_lake(home, 1000)
    told: list[int] = []

    def stop(n_done: int) -> None:
        told.append(n_done)
        if len(told) == 3:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        scored(home, tmp_path / "results.parquet", scored=stop)

    assert len(told) == 3


def test_a_table_lacks_columns_or_has_others(home: Settings) -> None:
    fill_lake(home, 40)
    with writer("test", home) as con:
        con.execute(f"create table features.other as select * exclude (purpose), 1 as purpose from {TABLE}")
        con.execute("create schema analyst")
        con.execute(f'create table analyst."Mine; drop" as from {TABLE}')

    with connect(home) as con:
        with pytest.raises(BatchTableError, match=r"purpose varchar \(found integer\)"):
            find_table(con, "features.other", shared_bundle())
        assert find_table(con, "analyst.Mine; drop", shared_bundle()).n_rows == 40
    assert "purpose" in model_columns(shared_bundle())


@pytest.mark.parametrize("schema", ["staging", "serving"])
def test_a_private_table_is_refused(home: Settings, schema: str) -> None:
    fill_lake(home, 5)
    with writer("a test", home) as con:
        con.execute(f'create schema if not exists "{schema}"')
        con.execute(f'create table "{schema}".portfolio as from {TABLE}')

    with (
        connect(home) as con,
        pytest.raises(BatchTableError, match="none of the schemas models, monitoring, portfolio, raw, serving"),
    ):
        find_table(con, f"{schema}.portfolio", shared_bundle())
