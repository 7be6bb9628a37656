"""What a search varies: the family's settings, the number of features left out, and the weight of newer loans."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ml.families.protocol import Dimension
from ml.training.fitting import TrainingSettings

#: How many of the least important features are left out.
LEFT_OUT = "features_left_out"
#: How often a loan's weight halves with each year of age; 0: all weigh the same.
HALVINGS = "halvings_a_year"
_MOST_LEFT_OUT_SHARE = 0.75
_MONTHS_A_YEAR = 12.0

Values = Mapping[str, float]


@dataclass(frozen=True)
class Space:
    """The dimensions around ``base``, the lender's settings, which are part of the space.

    ``least_important``: features, the least important first.
    """

    base: TrainingSettings
    dimensions: tuple[Dimension, ...]

    @property
    def default(self) -> dict[str, float]:
        """The values of the lender's own settings."""
        return {each.name: _default(self.base, each.name) for each in self.dimensions}

    def settings(self, values: Values, least_important: Sequence[str]) -> TrainingSettings:
        """The settings that values stand for; numbers have four digits, so that a file can state them."""
        if dict(values) == self.default:
            return self.base
        rounded = {each.name: _rounded(each, values[each.name]) for each in self.dimensions}
        n_left_out = int(rounded.pop(LEFT_OUT, 0))
        half_life = self.base.half_life_months
        if HALVINGS in rounded:
            halvings = rounded.pop(HALVINGS)
            half_life = float(f"{_MONTHS_A_YEAR / halvings:.4g}") if halvings > 0 else None
        model: Any = self.base.model
        return replace(
            self.base,
            model=replace(model, **rounded),
            exclude=tuple(sorted({*self.base.exclude, *least_important[:n_left_out]})),
            half_life_months=half_life,
        )


def space_of(base: TrainingSettings, *, n_features: int, is_dated: bool) -> Space:
    """The family's space with its training's own dimensions, widened where ``base`` lies outside it."""
    found = [*type(base.model).space]
    if n_features > 3:
        found.append(Dimension(LEFT_OUT, 0, int(n_features * _MOST_LEFT_OUT_SHARE), is_integer=True))
    if is_dated:
        found.append(Dimension(HALVINGS, 0.0, 1.0))
    return Space(base, tuple(_widened(each, _default(base, each.name)) for each in found))


def _default(base: TrainingSettings, name: str) -> float:
    if name == LEFT_OUT:
        return 0
    if name == HALVINGS:
        return 0.0 if base.half_life_months is None else _MONTHS_A_YEAR / base.half_life_months
    found: float = getattr(base.model, name)
    return found


def _widened(dimension: Dimension, value: float) -> Dimension:
    low, high = min(dimension.low, value), max(dimension.high, value)
    return replace(dimension, low=low, high=high, is_log=dimension.is_log and low > 0)


def _rounded(dimension: Dimension, value: float) -> float:
    if dimension.is_integer:
        return int(value)
    return min(max(float(f"{value:.4g}"), dimension.low), dimension.high)
