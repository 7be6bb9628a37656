"""Learning a transformer's weights with PyTorch: contrastive pretraining without outcomes, then default or not.

This module alone imports PyTorch. On a processor all is deterministic: a seed of its own, deterministic algorithms, a
fixed number of threads, all of them put back as they were.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ml.transformer.settings import TransformerSettings
from ml.transformer.tokens import Array, TokenPlan
from ml.transformer.weights import EPSILON, Shape, Transformer
from warehouse.errors import SettingError

Weights = dict[str, torch.Tensor]
_LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class Rows:
    """The matrix (n, n_columns), outcomes (n,) and weights (n,) of rows to learn from or to stop by."""

    matrix: Array
    defaulted: NDArray[np.bool_]
    weights: NDArray[np.float64] | None


@dataclass(frozen=True)
class Learned:
    """``n_epochs``: passes over the rows of the weights kept. ``start``: weights before the first of them."""

    model: Transformer
    n_epochs: int
    start: dict[str, Array]
    device: str


def device_of(wanted: str) -> torch.device:
    """``auto``: a GPU where there is one; raises SettingError if ``cuda`` is wanted and there is none."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise SettingError("device cuda needs a GPU that PyTorch can use: found none; set device to auto or cpu")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def pretrained(settings: TransformerSettings, plan: TokenPlan, matrix: Array) -> dict[str, Array]:
    """First weights: random, then ``pretrain_epochs`` over all rows of ``matrix``, whose outcomes play no part.

    Two views of each row, each with other tokens masked at random, must be nearer to each other than to views of the
    batch's other rows: NT-Xent (Chen et al., A Simple Framework for Contrastive Learning, 2020).
    """
    with learner(settings, plan, seed=settings.seed) as at:
        weights = at.initial()
        width = settings.width
        extra: Weights = {
            "mask": at.normal(plan.n_features, width, deviation=width**-0.5),
            "first": at.normal(width, width, deviation=width**-0.5),
            "second": at.normal(width, width, deviation=width**-0.5),
        }
        rows = at.tensor(matrix)

        def loss(places: torch.Tensor) -> torch.Tensor:
            tokens = at.tokens(weights, rows[places])
            views = torch.cat([tokens, tokens])
            masked = torch.rand(views.shape[:2], device=at.device) < settings.mask_share
            views = torch.where(masked[:, :, None], extra["mask"], views)
            pooled = at.pooled(weights, views)
            projected = functional.silu(pooled @ extra["first"]) @ extra["second"]
            return nt_xent(projected.float(), settings.temperature)

        step = at.steps({**weights, **extra}, loss)
        for _ in range(settings.pretrain_epochs):
            # a batch of one row has nothing to be told from
            for places in at.batches(len(rows), least=2):
                step(places)
        return _arrays(weights)


def nt_xent(views: torch.Tensor, temperature: float) -> torch.Tensor:
    """Normalised temperature-scaled cross entropy of 2n views, shape (2n, d): views i and n + i are of one row."""
    n = len(views) // 2
    unit = functional.normalize(views, dim=1)
    alike = unit @ unit.T / temperature
    alike = alike.masked_fill(torch.eye(2 * n, dtype=torch.bool, device=views.device), -torch.inf)
    partner = torch.arange(2 * n, device=views.device).roll(n)
    return functional.cross_entropy(alike, partner)


def learned(
    settings: TransformerSettings,
    plan: TokenPlan,
    start: dict[str, Array],
    rows: Rows,
    *,
    tune: Rows | None = None,
    to_natural: float = 0.0,
    n_epochs: int | None = None,
) -> Learned:
    """Learn outcomes from ``start``: ``n_epochs`` passes, or until ``patience`` bring no better log loss on ``tune``.

    ``to_natural``: what is added to log-odds of ``tune`` to judge them. The weights kept are those of the best pass.
    """
    with learner(settings, plan, seed=settings.seed + 1) as at:
        weights = {name: at.tensor(array).requires_grad_() for name, array in start.items()}
        matrix, outcomes = at.tensor(rows.matrix), at.tensor(rows.defaulted.astype(np.float32))
        row_weights = None if rows.weights is None else at.tensor(rows.weights.astype(np.float32))

        def loss(places: torch.Tensor) -> torch.Tensor:
            raw = at.scores(weights, matrix[places]).float()
            weight = None if row_weights is None else row_weights[places]
            return functional.binary_cross_entropy_with_logits(raw, outcomes[places], weight)

        if n_epochs is None:
            # the head's last step begins at the rate of defaults: no pass is spent on finding it
            rate = float(np.clip(np.average(rows.defaulted, weights=rows.weights), 1e-6, 1 - 1e-6))
            weights["score_bias"].data.fill_(float(np.log(rate / (1 - rate))))
        start = _arrays(weights)
        step, best, best_loss = at.steps(weights, loss), start, np.inf
        kept = 0
        for epoch in range(1, (settings.max_epochs if n_epochs is None else n_epochs) + 1):
            for places in at.batches(len(matrix)):
                step(places)
            if tune is None:
                best, kept = _arrays(weights), epoch
                continue
            found = at.log_loss(weights, tune, to_natural)
            if found < best_loss:
                best, best_loss, kept = _arrays(weights), found, epoch
            elif epoch - kept >= settings.patience:
                break
        model = Transformer(at.shape, plan, best)
        return Learned(model, kept, start, at.device.type)


@contextmanager
def learner(settings: TransformerSettings, plan: TokenPlan, *, seed: int) -> "Iterator[Learner]":
    """PyTorch with this seed, deterministic on a processor, until the block ends."""
    device = device_of(settings.device)
    threads, was_deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[] if device.type == "cpu" else None):
        torch.manual_seed(seed)
        torch.set_num_threads(settings.threads)
        # a GPU's fastest attention has no deterministic gradient
        torch.use_deterministic_algorithms(device.type == "cpu")
        try:
            yield Learner(settings, plan, device)
        finally:
            torch.use_deterministic_algorithms(was_deterministic)
            torch.set_num_threads(threads)


class Learner:
    """The forward pass in PyTorch, and steps of AdamW; bfloat16 beside float32 on a GPU."""

    def __init__(self, settings: TransformerSettings, plan: TokenPlan, device: torch.device) -> None:
        self.settings, self.device = settings, device
        self.shape: Shape = settings.shape(plan)
        self._column, self._first = self.tensor(plan.column), self.tensor(plan.first_column)
        self._low, self._scale = self.tensor(plan.low), self.tensor(plan.scale)

    def tensor(self, array: NDArray[Any]) -> torch.Tensor:
        """A copy of an array on the device."""
        return torch.from_numpy(np.array(array)).to(self.device)

    def normal(self, *shape: int, deviation: float) -> torch.Tensor:
        """New weights at random, about 0."""
        return (torch.randn(*shape) * deviation).to(self.device).requires_grad_()

    def initial(self) -> Weights:
        """Gains of one, biases of zero, and maps with a deviation that keeps the size of what passes them."""
        weights: Weights = {}
        for name, shape in self.shape.of_weights().items():
            if name.endswith("_gain"):
                weights[name] = torch.ones(shape, device=self.device, requires_grad=True)
            elif name.endswith(("_bias", "_shift")):
                weights[name] = torch.zeros(shape, device=self.device, requires_grad=True)
            else:
                n_inputs = self.shape.width if name in ("slots", "present", "missing") else shape[-2]
                deviation = n_inputs**-0.5
                if name in ("joined", "down"):  # what is added to each layer's input grows with the layers
                    deviation *= (2 * self.shape.n_layers) ** -0.5
                weights[name] = self.normal(*shape, deviation=deviation)
        return weights

    def batches(self, n_rows: int, *, least: int = 1) -> "Iterator[torch.Tensor]":
        """The places of all rows in a new random order, ``batch_rows`` at a time."""
        for places in torch.randperm(n_rows).split(self.settings.batch_rows):
            if len(places) >= least:
                yield places.to(self.device)

    def steps(self, weights: Weights, loss: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], None]:
        """A step down the loss of a batch."""
        decayed = [value for value in weights.values() if value.ndim > 1]
        others = [value for value in weights.values() if value.ndim <= 1]
        optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": self.settings.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=self.settings.learning_rate,
        )

        def step(places: torch.Tensor) -> None:
            optimiser.zero_grad()
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"):
                value = loss(places)
            value.backward()
            torch.nn.utils.clip_grad_norm_(decayed + others, _LARGEST_GRADIENT)
            optimiser.step()

        return step

    def log_loss(self, weights: Weights, rows: Rows, shift: float) -> float:
        """Mean log loss of the rows, which weigh the same, with ``shift`` added to their log-odds."""
        with torch.no_grad():
            parts = self.tensor(rows.matrix).split(4 * self.settings.batch_rows)
            raw = torch.cat([self.scores(weights, part, is_learning=False).double() for part in parts])
            outcomes = self.tensor(rows.defaulted.astype(np.float64))
            return float(functional.binary_cross_entropy_with_logits(raw + shift, outcomes))

    def scores(self, weights: Weights, matrix: torch.Tensor, *, is_learning: bool = True) -> torch.Tensor:
        """Log-odds, shape (n,)."""
        return self.scores_of(weights, self.tokens(weights, matrix), is_learning=is_learning)

    def scores_of(self, weights: Weights, tokens: torch.Tensor, *, is_learning: bool = True) -> torch.Tensor:
        """Log-odds, shape (n,), of tokens."""
        pooled = self.pooled(weights, tokens, is_learning=is_learning)
        hidden = functional.silu(pooled @ weights["head"] + weights["head_bias"])
        return (hidden @ weights["score"] + weights["score_bias"])[:, 0]

    def tokens(self, weights: Weights, matrix: torch.Tensor) -> torch.Tensor:
        """Tokens, shape (n, n_features, width), as :meth:`Transformer.tokens` makes them."""
        values = matrix[:, self._column]
        slots = torch.nan_to_num((values - self._low) * self._scale).clamp(0.0, 1.0)
        missing = torch.isnan(matrix[:, self._first])[:, :, None]
        known = torch.matmul(slots.transpose(0, 1), weights["slots"]).transpose(0, 1) + weights["present"]
        return torch.where(missing, weights["missing"], known)

    def pooled(self, weights: Weights, x: torch.Tensor, *, is_learning: bool = True) -> torch.Tensor:
        """The mean of the normalised tokens after all layers, shape (n, width)."""
        n, n_tokens, width = x.shape

        def normed(x: torch.Tensor, gain: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
            return functional.layer_norm(x, (width,), gain, shift, EPSILON)

        def dropped(x: torch.Tensor) -> torch.Tensor:
            return functional.dropout(x, self.settings.dropout, training=is_learning)

        for layer in range(self.shape.n_layers):
            of = {name: weights[name][layer] for name in _LAYERED}
            mixed = normed(x, of["attention_gain"], of["attention_shift"])
            mixed = mixed @ of["query_key_value"] + of["query_key_value_bias"]
            query, key, value = mixed.view(n, n_tokens, 3, self.shape.n_heads, -1).permute(2, 0, 3, 1, 4)
            heads = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(x.shape)
            x = x + dropped(heads @ of["joined"] + of["joined_bias"])
            inner = functional.silu(normed(x, of["feed_gain"], of["feed_shift"]) @ of["up"] + of["up_bias"])
            x = x + dropped(inner @ of["down"] + of["down_bias"])
        return normed(x, weights["last_gain"], weights["last_shift"]).mean(dim=1)


#: Weights of which each layer has its own.
_LAYERED = (
    "attention_gain", "attention_shift", "query_key_value", "query_key_value_bias", "joined", "joined_bias",
    "feed_gain", "feed_shift", "up", "up_bias", "down", "down_bias",
)  # fmt: skip


def _arrays(weights: Weights) -> dict[str, Array]:
    return {name: value.detach().cpu().numpy().copy() for name, value in weights.items()}
