"""What is served of a transformer: ONNX for scores, NumPy for reasons; PyTorch agrees with both where it is."""

from pathlib import Path

import numpy as np
import pytest

from ml.families.tab_transformer import About, FittedTransformer, TabTransformer
from ml.transformer.explain import PathExplainer, gradient, scores
from ml.transformer.onnx_form import to_onnx
from ml.transformer.weights import Transformer
from tests.unit.ml.transformer.transformers import rows, transformer

ROWS = rows(60, seed=5)
ABOUT = About(7, 3, "cpu", 1000, 256, 1e-5, 2e-4, 0.5)


@pytest.fixture(scope="module", params=[1, 2])
def model(request: pytest.FixtureRequest) -> Transformer:
    return transformer(seed=request.param, n_layers=request.param, width=4 * request.param)


def fitted(model: Transformer) -> FittedTransformer:
    return FittedTransformer(model, ABOUT, (1.0, *[0.0] * 5), {})


def test_onnx_scores_as_numpy_does(model: Transformer) -> None:
    found = fitted(model).raw_scores(ROWS)

    np.testing.assert_allclose(found, scores(model, model.tokens(*model.plan.codes(ROWS))), atol=1e-5)
    assert found.std() > 0.03


def test_the_gradient_is_that_of_small_steps(model: Transformer) -> None:
    tokens = model.tokens(*model.plan.codes(ROWS[:3]))
    found = gradient(model, tokens)

    step = np.float32(1e-2)
    for place in np.ndindex(tokens.shape[1:]):
        moved = tokens.copy()
        moved[:, *place] += step
        back = tokens.copy()
        back[:, *place] -= step
        by_steps = (scores(model, moved) - scores(model, back)) / (2 * step)
        np.testing.assert_allclose(found[:, *place], by_steps, rtol=0.01, atol=5e-3)


def test_contributions_sum_to_the_score_within_the_error_that_is_reported(model: Transformer, tmp_path: Path) -> None:
    fitted(model).write(tmp_path, ())
    served = TabTransformer.open(tmp_path)

    missed = [
        served.contributions(row).sum() + served.expected - score
        for row, score in zip(ROWS, served.raw_scores(ROWS), strict=True)
    ]

    assert np.abs(missed).max() < 2e-3


def test_what_equals_the_typical_row_contributes_nothing(model: Transformer) -> None:
    typical = model.plan.typical
    row = typical.copy()
    row[4] = 1 - row[4]

    contributions = PathExplainer(model).contributions(row)

    assert np.flatnonzero(contributions).tolist() == [4]
    assert not PathExplainer(model).contributions(typical).any()


def test_it_is_read_as_it_was_written_and_equal_weights_give_equal_bytes(model: Transformer, tmp_path: Path) -> None:
    fitted(model).write(tmp_path, ())

    read = Transformer.read(tmp_path / "transformer.npz")

    assert to_onnx(read) == (tmp_path / "model.onnx").read_bytes()
    assert TabTransformer.read(tmp_path).raw_scores(ROWS).tobytes() == fitted(model).raw_scores(ROWS).tobytes()
    assert "miss the score by 1.0e-05 on average, 2.0e-04 at most" in (tmp_path / "transformer.html").read_text()


def test_torch_has_the_same_scores_and_gradients(model: Transformer) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'loanlake[torch]'")
    from ml.transformer.learning import learner

    shape = model.shape
    settings = TabTransformer(
        n_layers=shape.n_layers, n_heads=shape.n_heads, width=shape.width, feed_forward=shape.feed_forward, device="cpu"
    )
    with learner(settings, model.plan, seed=1) as at:
        weights = {name: at.tensor(array) for name, array in model.weights.items()}
        tokens = at.tokens(weights, at.tensor(ROWS)).requires_grad_()
        found = at.scores_of(weights, tokens, is_learning=False)
        found.sum().backward()

    np.testing.assert_allclose(found.detach().numpy(), fitted(model).raw_scores(ROWS), atol=1e-5)
    np.testing.assert_allclose(tokens.grad.numpy(), gradient(model, tokens.detach().numpy()), atol=1e-4)
    assert torch.get_num_threads() >= 1
