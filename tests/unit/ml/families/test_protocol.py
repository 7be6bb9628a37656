"""What each family promises: equal files from equal rows, one score from every form, exact reasons, kept directions."""

from pathlib import Path

import numpy as np
import pytest

from ml.families.catalogue import FAMILIES as ALL_FAMILIES
from ml.families.catalogue import family_of, require_family
from ml.families.ensemble import Ensemble, Member
from ml.families.linear.logistic import LogisticRegression
from ml.families.linear.scorecard import Scorecard
from ml.families.protocol import Family, FittedModel
from ml.families.single import missing_package
from ml.families.tab_transformer import TabTransformer
from ml.families.tree_based.boosted_trees import GradientBoosting
from ml.families.tree_based.catboost import CatBoost
from ml.families.tree_based.hazard import ProportionalHazards
from ml.families.tree_based.random_forest import RandomForest
from tests.unit.ml.small_samples import TEST, TRAIN, TUNE, auc, small_sample
from warehouse.errors import SettingError
from warehouse.lenders.family_names import FAMILY_NAMES

FREE = (0, 0, 0)
NAMES = ("income", "purpose=car", "noise")
FAMILIES: dict[str, Family] = {
    "xgboost": GradientBoosting(max_trees=60, learning_rate=0.1, max_depth=3, min_child_weight=5, patience=10),
    "logistic": LogisticRegression(),
    "scorecard": Scorecard(),
    "random_forest": RandomForest(n_trees=30, max_depth=5, column_share=0.5),
    "catboost": CatBoost(max_trees=60, learning_rate=0.1, max_depth=4, patience=10),
    "hazard": ProportionalHazards(
        max_trees=60, learning_rate=0.1, max_depth=3, min_child_weight=5, patience=10, threads=1
    ),
    "tab_transformer": TabTransformer(n_layers=2, width=8, pretrain_epochs=1, max_epochs=8, learning_rate=0.01),
}
EXACT = [family for family in FAMILIES.values() if family.reasons_are_exact]
MEMBERS = [family for family in EXACT if not family.learns_from_open]
FAMILIES["ensemble"] = Ensemble(members=tuple(map(Member.of, MEMBERS)), l2=1000)
#: A third of the values is missing, and some are beyond what the train rows had.
HOSTILE = small_sample(500, seed=9, missing=0.3).matrix * np.float32(3)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    if missing_package(type(FAMILIES[request.param])) == "torch":
        pytest.skip("tab_transformer learns with PyTorch: pip install 'loanlake[torch]'")
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
    assert set(family.files) == {path.name for path in written.iterdir() if path.is_file()}


def test_equal_rows_and_settings_give_equal_files(family: Family, written: Path, tmp_path: Path) -> None:
    family.fit(TRAIN, TUNE, FREE).write(tmp_path, NAMES)

    names = [path.relative_to(written) for path in written.rglob("*") if path.is_file()]
    assert names
    for name in names:
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

    error = 1e-5 if family.reasons_are_exact else 2e-3
    np.testing.assert_allclose(totals, fitted.raw_scores(HOSTILE[:100]), atol=error)


@pytest.mark.parametrize("direction", [1, -1])
def test_risk_moves_only_in_the_direction_the_contract_allows(family: Family, direction: int) -> None:
    """Risk rises with the first column: against it, the column counts next to nothing."""
    if not family.keeps_directions:
        pytest.skip(f"{family.name} states that it keeps no directions of risk")
    rows = np.zeros((60, 3), dtype=np.float32)
    rows[:, 0] = np.linspace(-3, 3, 60)

    steps = np.diff(family.fit(TRAIN, TUNE, (direction, 0, 0)).raw_scores(rows)) * direction

    assert (steps >= 0).all()
    assert steps.sum() > 0.5 if direction == 1 else steps.sum() < 0.05


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


def test_help_texts_name_the_families_of_the_catalogue() -> None:
    assert tuple(family.name for family in ALL_FAMILIES) == FAMILY_NAMES
