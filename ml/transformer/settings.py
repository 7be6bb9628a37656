"""The settings of a transformer: its size, its pretraining, and how it learns."""

from dataclasses import dataclass
from typing import Literal

from ml.transformer.tokens import TokenPlan
from ml.transformer.weights import Shape
from warehouse.errors import SettingError


@dataclass(frozen=True)
class TransformerSettings:
    """``width``: numbers of a token. ``n_bins``: quantile bins that code a number.

    ``pretrain_epochs``: passes by contrast of two views of each row, ``mask_share`` of whose tokens are masked, by
    NT-Xent at ``temperature``; 0 is none. Both train and tune rows are pretrained on, without their outcomes. Training
    stops after ``patience`` passes without a better tune log loss. ``device``: ``auto`` is a GPU where there is one,
    with bfloat16 beside float32. Files are equal from equal rows on a processor only, with an equal number of
    ``threads``.
    """

    n_layers: int = 6
    n_heads: int = 4
    width: int = 32
    feed_forward: int = 64
    n_bins: int = 8
    dropout: float = 0.1
    pretrain_epochs: int = 3
    mask_share: float = 0.3
    temperature: float = 0.1
    max_epochs: int = 60
    patience: int = 3
    batch_rows: int = 256
    learning_rate: float = 0.002
    weight_decay: float = 0.01
    seed: int = 20111231
    threads: int = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        for name in ("n_layers", "n_heads", "width", "feed_forward", "n_bins", "max_epochs", "patience", "threads"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} must be at least 1: found {getattr(self, name)}")
        if self.width % self.n_heads:
            raise SettingError(f"width must be a multiple of n_heads, {self.n_heads}: found {self.width}")
        if self.pretrain_epochs < 0:
            raise SettingError(f"pretrain_epochs must be at least 0: found {self.pretrain_epochs}")
        if self.batch_rows < 2:
            raise SettingError(f"batch_rows must be at least 2: found {self.batch_rows}")
        for name in ("dropout", "mask_share"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingError(f"{name} must be at least 0 and below 1: found {getattr(self, name)}")
        for name in ("temperature", "learning_rate"):
            if getattr(self, name) <= 0:
                raise SettingError(f"{name} must be above 0: found {getattr(self, name)}")

    def shape(self, plan: TokenPlan) -> Shape:
        """The weights that these settings need for the tokens of a plan."""
        return Shape(
            n_features=plan.n_features,
            n_slots=plan.column.shape[1],
            width=self.width,
            n_layers=self.n_layers,
            n_heads=self.n_heads,
            feed_forward=self.feed_forward,
        )
