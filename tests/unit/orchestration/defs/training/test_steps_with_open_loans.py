"""A record of training rows follows the family that is trained, for every later step."""

from dataclasses import replace

from ml.training.fitting import TrainingSettings
from ml.training.training_set import read_training_set
from orchestration.defs.training.candidates import TrainingSetRecord, read_training_set_record, write_training_set
from orchestration.defs.training.steps import read_rows, record_for
from tests.model_factory import FAMILIES, SOURCE, fill_lake
from warehouse.lake.connection import connect
from warehouse.settings import Settings


def test_a_family_of_open_loans_gets_rows_with_exposures_and_others_get_none(home: Settings) -> None:
    """Prevents a family that is chosen after the rows were read from learning from other rows than its lineage says."""
    fill_lake(home, 400)
    with connect(home) as con:
        rows = read_training_set(con, SOURCE, feature_version="v1")
    mature = TrainingSetRecord(SOURCE, "v1", rows.snapshot, rows.sha256)
    write_training_set(home, mature)

    with_open = record_for(home, mature, FAMILIES["hazard"])

    assert with_open == replace(mature, exposures=True, sha256=with_open.sha256) != mature
    assert read_training_set_record(home, SOURCE) == mature
    assert read_rows(home, with_open).sha256 == with_open.sha256
    assert record_for(home, with_open, TrainingSettings()) == mature
