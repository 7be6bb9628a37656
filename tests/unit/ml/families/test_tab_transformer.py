"""Settings of the transformer, what it says without PyTorch, and its pretraining where PyTorch is."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from ml.families.protocol import Sample
from ml.families.tab_transformer import TabTransformer
from ml.transformer.tokens import TokenPlan
from tests.unit.ml.small_samples import TRAIN, TUNE
from warehouse.errors import SettingError

SMALL = TabTransformer(n_layers=1, width=8, pretrain_epochs=1, max_epochs=2)
FREE = (0, 0, 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"width": 30}, "width must be a multiple of n_heads, 4: found 30"),
        ({"pretrain_epochs": -1}, "pretrain_epochs must be at least 0: found -1"),
        ({"mask_share": 1.0}, "mask_share must be at least 0 and below 1: found 1.0"),
        ({"temperature": 0}, "temperature must be above 0: found 0"),
        ({"batch_rows": 1}, "batch_rows must be at least 2: found 1"),
    ],
)
def test_settings_out_of_range_are_named(given: dict[str, float], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        TabTransformer(**given)  # type: ignore[arg-type]  # whole numbers too


def test_without_torch_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)

    with pytest.raises(SettingError, match=r"pip install 'loanlake\[torch\]'"):
        SMALL.fit(TRAIN, TUNE, FREE)


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="needs PyTorch: pip install 'loanlake[torch]'")


def test_the_loss_of_pretraining_by_hand(torch) -> None:
    """Two rows, each with two equal views at right angles to the other row's, temperature 1.

    Each view has one partner at similarity 1 and two others at 0: -log(e / (e + 2)).
    """
    from ml.transformer.learning import nt_xent

    views = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 3.0]])

    assert float(nt_xent(views, 1.0)) == pytest.approx(-np.log(np.e / (np.e + 2)))
    assert float(nt_xent(views, 0.1)) < 1e-3


@pytest.mark.usefixtures("torch")
def test_pretraining_reads_no_outcome_and_changes_the_model() -> None:
    from ml.transformer.learning import pretrained
    from ml.transformer.tokens import TokenPlan

    plan = TokenPlan.from_rows(TRAIN.matrix, ("a", "b", "c"), SMALL.n_bins)
    begun = SMALL.fit(TRAIN, TUNE, FREE).start
    alone = pretrained(SMALL, plan, np.concatenate([TRAIN.matrix, TUNE.matrix]))
    random = pretrained(replace(SMALL, pretrain_epochs=0), plan, TRAIN.matrix)

    assert {name for name, array in begun.items() if array.tobytes() != alone[name].tobytes()} == {"score_bias"}
    assert np.abs(alone["down"] - random["down"]).max() > 1e-3


@pytest.mark.usefixtures("torch")
def test_tune_rows_are_judged_at_their_own_level() -> None:
    """Every score 0 and a shift of ln(1/3), as from half defaults to a quarter: the loss of saying a quarter."""
    from ml.transformer.learning import Rows, learner

    plan = TokenPlan.from_rows(TRAIN.matrix, ("a", "b", "c"), SMALL.n_bins)
    quarter = Rows(TUNE.matrix[:8], np.arange(8) < 2, None)

    with learner(SMALL, plan, seed=1) as at:
        weights = at.initial()
        weights["score"].data.zero_()
        losses = [at.log_loss(weights, quarter, shift) for shift in (0.0, np.log(1 / 3))]

    assert losses == pytest.approx([np.log(2), -0.25 * np.log(0.25) - 0.75 * np.log(0.75)])


@pytest.mark.usefixtures("torch")
def test_a_refit_begins_from_the_same_weights_for_as_many_passes() -> None:
    fitted = SMALL.fit(TRAIN, TUNE, FREE)
    both = Sample(np.concatenate([TRAIN.matrix, TUNE.matrix]), np.concatenate([TRAIN.defaulted, TUNE.defaulted]))

    again = SMALL.refit(fitted, both, FREE)

    assert again.about.n_epochs == fitted.about.n_epochs
    assert again.raw_scores(TUNE.matrix).tobytes() != fitted.raw_scores(TUNE.matrix).tobytes()
    same = SMALL.refit(fitted, TRAIN, FREE)
    assert same.raw_scores(TUNE.matrix).tobytes() == fitted.raw_scores(TUNE.matrix).tobytes()


@pytest.mark.usefixtures("torch")
def test_torch_is_left_as_it_was(torch) -> None:
    torch.set_num_threads(2)
    state = torch.random.get_rng_state()

    SMALL.fit(TRAIN, TUNE, FREE)

    assert torch.get_num_threads() == 2
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_gpu_that_is_wanted_and_missing_is_named(torch) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")

    with pytest.raises(SettingError, match="device cuda needs a GPU that PyTorch can use: found none"):
        replace(SMALL, device="cuda").fit(TRAIN, TUNE, FREE)
