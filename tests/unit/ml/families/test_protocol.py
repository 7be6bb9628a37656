"""What each family promises: equal files from equal rows, one score from every form, exact reasons, kept directions."""

from pathlib import Path

import numpy as np
import pytest

from ml.families.boosted_trees import GradientBoosting
from ml.families.catalogue import family_of, require_family
from ml.families.hazard import ProportionalHazards
from ml.families.logistic import LogisticRegression
from ml.families.protocol import Family, FittedModel
from ml.families.random_forest import RandomForest
from ml.families.scorecard import Scorecard
from tests.unit.ml.small_samples import TEST, TRAIN, TUNE, auc, small_sample
from warehouse.errors import SettingError

FREE = (0, 0, 0)
NAMES = ("income", "purpose=car", "noise")
FAMILIES: dict[str, Family] = {
    "xgboost": GradientBoosting(max_trees=60, learning_rate=0.1, max_depth=3, min_child_weight=5, patience=10),
    "logistic": LogisticRegression(),
    "scorecard": Scorecard(),
    "random_forest": RandomForest(n_trees=30, max_depth=5, column_share=0.5),
    "hazard": ProportionalHazards(
        max_trees=60, learning_rate=0.1, max_depth=3, min_child_weight=5, patience=10, threads=1
    ),
}
#: A third of the values is missing, and some are beyond what the train rows had.
HOSTILE = small_sample(500, seed=9, missing=0.3).matrix * np.float32(3)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


@pytest.fixture(scope="module")
def fitted(family: Family) -> FittedModel:
    return family.fit(TRAIN, TUNE, FREE)


@pytest.fixture(scope="module")
def written(fitted: FittedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("family")
    fitted.write(directory, NAMES)
    return directory


def test_it_is_found_by_its_name_and_writes_the_files_it_names(family: Family, written: Path) -> None:
    assert family_of(family.name) is type(family)
    assert sorted(path.name for path in written.iterdir()) == sorted(family.files)


def test_equal_rows_and_settings_give_equal_files(family: Family, written: Path, tmp_path: Path) -> None:
    family.fit(TRAIN, TUNE, FREE).write(tmp_path, NAMES)

    for name in family.files:
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes()


def test_its_forms_give_the_same_bits_to_a_block_and_to_each_row(
    family: Family, fitted: FittedModel, written: Path
) -> None:
    """Also of missing values where train had none, and in whichever order the block lies in memory."""
    scores = fitted.raw_scores(HOSTILE)

    model, served = family.read(written), family.open(written)

    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    for form in (model, served):
        assert form.raw_scores(HOSTILE).tobytes() == scores.tobytes()
        assert form.raw_scores(np.asfortranarray(HOSTILE)).tobytes() == scores.tobytes()
    alone = [served.raw_scores(row.reshape(1, -1)) for row in HOSTILE]
    assert np.concatenate(alone).tobytes() == scores.tobytes()


def test_its_contributions_and_what_it_expects_sum_to_the_score(
    family: Family, fitted: FittedModel, written: Path
) -> None:
    served = family.open(written)

    totals = [served.expected + served.contributions(row).sum() for row in HOSTILE[:100]]

    np.testing.assert_allclose(totals, fitted.raw_scores(HOSTILE[:100]), atol=1e-5)


@pytest.mark.parametrize("direction", [1, -1])
def test_risk_moves_only_in_the_direction_the_contract_allows(family: Family, direction: int) -> None:
    """Risk rises with the first column: against it, the column must not count at all."""
    rows = np.zeros((60, 3), dtype=np.float32)
    rows[:, 0] = np.linspace(-3, 3, 60)

    steps = np.diff(family.fit(TRAIN, TUNE, (direction, 0, 0)).raw_scores(rows)) * direction

    assert (steps >= 0).all()
    assert steps.any() == (direction == 1)


def test_importance_is_shared_among_columns_and_sums_to_one(fitted: FittedModel) -> None:
    shares = fitted.importance(3)

    assert shares.sum() == pytest.approx(1)
    assert shares[2] < 0.15 < shares[0]


def test_it_ranks_new_rows(fitted: FittedModel) -> None:
    assert auc(fitted, TEST) > 0.65


def test_it_names_the_libraries_that_fitted_it(family: Family) -> None:
    assert all(version[0].isdigit() for version in family.packages().values())
    assert family.packages()


def test_no_family_of_this_suite_is_forgotten() -> None:
    """A family in the catalogue must keep the promises above."""
    known = ", ".join(["auto", *FAMILIES])

    with pytest.raises(SettingError, match=f"must be one of {known}: found 'forest'"):
        require_family("forest", "model.family")
