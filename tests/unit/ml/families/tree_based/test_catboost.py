"""CatBoost: against its own scores, missing values beside a direction, and what it does with few or constant rows."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ml.families.protocol import Sample, StreamedSample
from ml.families.tree_based.catboost import CatBoost
from tests.unit.ml.small_samples import TEST, TRAIN, TUNE, auc, small_sample
from warehouse.errors import SettingError

FREE = (0, 0, 0)
CATBOOST = CatBoost(max_trees=60, learning_rate=0.1, max_depth=4, patience=10)


def _files(sample: Sample, settings: CatBoost, directory: Path) -> bytes:
    settings.fit(sample, TUNE, FREE).write(directory, ())
    return b"".join((directory / name).read_bytes() for name in CatBoost.files)


def test_another_seed_gives_another_model(tmp_path: Path) -> None:
    """Else the suite's test of equal files could not fail."""
    assert _files(TRAIN, CATBOOST, tmp_path) != _files(TRAIN, replace(CATBOOST, seed=1), tmp_path)


def test_the_number_of_threads_is_set_by_the_rows_alone() -> None:
    """Trees of two threads differ from those of one: a default by the machine's cores would make models differ."""
    assert [CATBOOST.threads_for(n) for n in (500, 199_999, 200_000, 1_000_000)] == [1, 1, 4, 4]
    assert replace(CATBOOST, threads=3).threads_for(500) == 3


def test_boosting_stops_where_tune_rows_stop_gaining_and_a_refit_has_as_many_trees() -> None:
    fitted = CatBoost(max_trees=500, learning_rate=0.3, max_depth=5, patience=5).fit(TRAIN, TUNE, FREE)

    again = CATBOOST.refit(fitted, TRAIN, FREE)

    assert 0 < len(fitted.forest.trees) < 100
    assert len(again.forest.trees) == len(fitted.forest.trees)


def _missing_not_at_random(n: int, seed: int) -> Sample:
    """Risk rises with the first column; where it is missing, the log-odds are 0, between those of its values."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(n, 3)).astype(np.float32)
    log_odds = 3 * matrix[:, 0].astype(np.float64)
    is_missing = random.random(n) < 0.4
    log_odds[is_missing], matrix[is_missing, 0] = 0.0, np.nan
    return Sample(matrix, random.random(n) < 1 / (1 + np.exp(-log_odds)))


@pytest.mark.parametrize("direction", [1, 0])
def test_a_direction_does_not_make_a_missing_value_the_safest(direction: int) -> None:
    """CatBoost counts it as the lowest value: with risk rising it would never be riskier than any value."""
    trees = replace(CATBOOST, max_trees=150).fit(
        _missing_not_at_random(4000, 1), _missing_not_at_random(1000, 2), (direction, 0, 0)
    )

    low, missing, high = trees.raw_scores(np.array([[-2, 0, 0], [np.nan, 0, 0], [2, 0, 0]], dtype=np.float32))

    assert low < -1.5
    assert abs(missing) < 0.5
    assert high > 1.5
    assert trees.importance(3)[0] > 0.9


def test_rows_that_are_all_alike_give_the_default_rate() -> None:
    """CatBoost refuses them; the others train."""
    flat = Sample(np.full((200, 2), np.nan, dtype=np.float32), np.arange(200) % 4 == 0)

    trees = CATBOOST.fit(flat, flat, (0, 1))

    assert trees.importance(2).tolist() == [0.0, 0.0]
    assert trees.raw_scores(flat.matrix) == pytest.approx(np.log(0.25 / 0.75))
    assert (
        CATBOOST.refit(trees, flat, (0, 1)).raw_scores(flat.matrix).tolist() == trees.raw_scores(flat.matrix).tolist()
    )


def test_weights_count() -> None:
    """Defaults that weigh twice double the odds."""
    weighted = Sample(TRAIN.matrix, TRAIN.defaulted, np.where(TRAIN.defaulted, 2.0, 1.0))

    once, twice = (CATBOOST.fit(sample, TUNE, FREE).raw_scores(TEST.matrix).mean() for sample in (TRAIN, weighted))

    assert twice - once == pytest.approx(np.log(2), abs=0.2)


def test_a_streamed_sample_gives_the_same_trees_as_one_in_memory(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame(TRAIN.matrix)
    streamed = StreamedSample(frame, lambda rows: rows.to_numpy(np.float32), TRAIN.defaulted, tmp_path, batch_rows=700)

    trees = CATBOOST.fit(streamed, TUNE, FREE)

    assert trees.raw_scores(TEST.matrix).tobytes() == CATBOOST.fit(TRAIN, TUNE, FREE).raw_scores(TEST.matrix).tobytes()


@pytest.mark.parametrize("seed", range(3))
def test_few_defaults_are_enough_to_learn_from(seed: int) -> None:
    def few(seed: int, n: int, n_defaults: int) -> Sample:
        sample = small_sample(n, seed=seed)
        risk = sample.matrix[:, 0] + np.random.default_rng(seed).gumbel(size=n)
        return Sample(sample.matrix, risk >= np.sort(risk)[-n_defaults])

    trees = CatBoost().fit(few(seed, 1181, 49), few(100 + seed, 500, 20), FREE)

    assert auc(trees, few(200 + seed, 3000, 300)) > 0.65


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_depth": 17}, "max_depth must be within 1 and 16: found 17"),
        ({"max_bins": 1}, "max_bins must be within 2 and 65536: found 1"),
        ({"patience": 0}, "patience must be at least 1: found 0"),
        ({"threads": 0}, "threads must be at least 1: found 0"),
        ({"column_share": 0.0}, r"column_share must be within \(0, 1\]: found 0.0"),
        ({"l2": -1.0}, "l2 must be at least 0: found -1.0"),
    ],
)
def test_settings_that_cannot_train_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        CatBoost(**settings)  # type: ignore[arg-type]  # whole numbers too


def test_without_catboost_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "catboost", None)

    with pytest.raises(SettingError, match=r"pip install 'loanlake\[catboost\]'"):
        CATBOOST.fit(TRAIN, TUNE, FREE)
