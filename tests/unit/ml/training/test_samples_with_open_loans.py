"""Training rows with open loans: one statement reads them again, an erasure keeps them, no other family reads them."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ml.comparison.comparing import plan_of
from ml.families.protocol import Sample
from ml.training.design_matrix import DesignMatrix
from ml.training.fitting import TrainingSettings, train, training_settings_of
from ml.training.lineage import collect_lineage
from ml.training.samples import Samples
from ml.training.training_set import TrainingSet, read_training_set
from tests.model_factory import CONTRACT, FAMILIES, SETTINGS, SOURCE, fill_lake
from warehouse.errors import SettingError, TrainingSetError
from warehouse.lake.connection import connect, current_snapshot, writer
from warehouse.lake.training_rows import is_kept, keepable_rows
from warehouse.lenders.lender import Lender
from warehouse.settings import Settings

#: The newest loans are open: observed for a quarter of their window, at whose end one in seven has defaulted.
NEWEST = "decided_at >= timestamp '2021-10-01'"


@pytest.fixture(scope="module")
def filled_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("exposed"))})
    fill_lake(settings, 600)
    with writer("test", settings) as con:
        con.execute(f"delete from training.trn_default_v1 where {NEWEST}")
        con.execute(
            f"update training.lbl_exposures set is_open = true, observed_windows = 0.25, "
            f"is_default = ascii(md5(application_id)) % 7 = 0 where {NEWEST}"
        )
    return settings.home


@pytest.fixture
def lake(home: Settings, filled_home: Path) -> Settings:
    shutil.copytree(filled_home, home.home)
    return home


def read(lake: Settings, snapshot: int | None = None, *, exposures: bool = True) -> TrainingSet:
    with connect(lake) as con:
        return read_training_set(con, SOURCE, feature_version="v1", snapshot=snapshot, exposures=exposures)


def change(lake: Settings, sql: str) -> None:
    with writer("test", lake) as con:
        con.execute(sql)


def test_open_loans_are_a_split_of_their_own(lake: Settings) -> None:
    rows, plain = read(lake), read(lake, exposures=False)

    assert len(rows.rows("open")) == 600 - len(plain.frame) > 0
    for split in ("train", "tune", "test"):
        found = rows.rows(split).drop(columns=["observed_windows", "is_default_so_far"])
        assert found["application_id"].tolist() == plain.rows(split)["application_id"].tolist()
        np.testing.assert_array_equal(found["loan_to_income"], plain.rows(split)["loan_to_income"])
    assert rows.rows("open")["observed_windows"].unique().tolist() == [0.25]


def test_one_statement_and_the_hash_cover_open_loans(lake: Settings) -> None:
    """Every table that they are joined from is read at the snapshot."""
    before = read(lake)
    change(lake, "update training.lbl_exposures set observed_windows = 0.5 where is_open")
    change(lake, "update features.ftr_application_v1 set requested_amount = 0")

    again, now = read(lake, before.snapshot), read(lake)

    assert again.sha256 == before.sha256 != now.sha256
    assert read(lake, before.snapshot, exposures=False).sha256 == read(lake, exposures=False).sha256
    with connect(lake) as con:
        assert con.execute(before.statement).df()["application_id"].tolist() == before.frame["application_id"].tolist()


def test_a_set_larger_than_memory_has_the_same_rows(lake: Settings) -> None:
    whole = read(lake)
    with connect(lake) as con:
        mapped = read_training_set(con, SOURCE, feature_version="v1", most_bytes=1, exposures=True)

    assert (mapped.mapped is not None, mapped.sha256) == (True, whole.sha256)
    columns = ["observed_windows", "is_default_so_far", "loan_to_income"]
    np.testing.assert_array_equal(
        mapped.rows("open", "train", "tune")[columns].to_numpy(float),
        whole.rows("open", "train", "tune")[columns].to_numpy(float),
    )


def test_a_loan_without_exposure_stops_the_training(lake: Settings) -> None:
    """Such as each of a lender without dates."""
    change(lake, "delete from training.lbl_exposures where not is_open")

    with pytest.raises(TrainingSetError, match=r"how long it was observed.* found 533 of 600 loans without"):
        read(lake)


def test_only_a_family_that_says_so_learns_from_open_loans(lake: Settings) -> None:
    rows = read(lake)
    samples = Samples(rows, DesignMatrix.from_contract(CONTRACT))
    theirs, ours = samples.read_by(SETTINGS.model), samples.read_by(FAMILIES["hazard"].model)

    assert isinstance(theirs.both, Sample)
    assert isinstance(ours.both, Sample)
    assert (len(theirs.both.defaulted), theirs.both.observed) == (len(rows.rows("train", "tune")), None)
    assert len(ours.both.defaulted) == len(rows.rows("open", "train", "tune"))
    assert ours.tune.observed is not None
    assert ours.tune.observed.max() == 1.0
    assert ours.tune.defaulted.tolist() == rows.defaulted("tune").tolist()
    plain = replace(SETTINGS, refit=True)
    bytes_of = [train(read(lake, exposures=each), CONTRACT, plain).model.to_bytes() for each in (True, False)]  # type: ignore[attr-defined]  # boosted trees
    assert bytes_of[0] == bytes_of[1]


def test_a_model_of_open_loans_counts_them_in_its_lineage(lake: Settings) -> None:
    rows = read(lake)

    candidate = train(rows, CONTRACT, FAMILIES["hazard"])

    lineage = collect_lineage(candidate, rows, CONTRACT, by="tests")
    assert lineage.has_exposures
    assert (lineage.rows["open"], lineage.training_set_sha256) == (len(rows.rows("open")), rows.sha256)


def test_the_family_is_not_trained_without_times(lake: Settings) -> None:
    with pytest.raises(TrainingSetError, match="needs a training set with exposures"):
        train(read(lake, exposures=False), CONTRACT, FAMILIES["hazard"])


def test_a_lender_without_dates_is_refused_by_its_file() -> None:
    undated = Lender(Path("cards.yml"), dates="none")

    with pytest.raises(SettingError, match=r"the family hazard needs dates of decision.*cards.yml says `dates: none`"):
        training_settings_of(undated, family="hazard")
    assert not training_settings_of(undated).learns_from_open
    assert TrainingSettings(model=FAMILIES["hazard"].model).learns_from_open
    with pytest.raises(SettingError, match="needs dates"):
        plan_of(undated, ("hazard",))
    assert plan_of(undated).left_out["hazard"] == "needs dates of decision, which the lender does not have"


def test_rows_that_an_erasure_kept_are_read_in_place_of_the_snapshot(lake: Settings) -> None:
    """The erased person was an open loan: her row is in no training table, and must go too."""
    rows = read(lake)
    gone = rows.rows("open")["application_id"].iloc[0]
    with writer("test", lake) as con:
        assert keepable_rows(con) == ["training.trn_default_v1", "training.trn_exposed_v1"]
        con.execute(
            f"create table training.trn_exposed_v1_at_{rows.snapshot} as "
            f"select * from ({rows.statement}) where application_id <> '{gone}'"
        )
        assert is_kept(con, "training.trn_exposed_v1", rows.snapshot)
        con.execute(f"delete from training.lbl_exposures where application_id = '{gone}'")

    remaining = read(lake, rows.snapshot)

    assert len(remaining.frame) == len(rows.frame) - 1
    assert gone not in remaining.frame["application_id"].tolist()
    with connect(lake) as con:
        assert current_snapshot(con) > rows.snapshot
