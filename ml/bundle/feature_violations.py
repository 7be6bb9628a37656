"""Feature values from outside the lake are held to the contract, as requests are: nothing wrong counts as missing.

What a feature passes on from a request (``annual_rate``) has the request's limits; a feature that is computed has those
of its type, since its range in the contract is what is plausible, not what is possible.
"""

import difflib
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from warehouse.features.contract import FeatureColumn, FeatureContract

if TYPE_CHECKING:
    import pandas as pd

#: What a row of the feature table says beside its features.
KEYS = frozenset({"application_id", "borrower_id", "source", "decided_at"})
_WHOLE_TYPES = {"integer", "bigint", "smallint"}
#: Violations that are listed one by one.
_MOST = 20


def find_violations(frame: "pd.DataFrame", contract: FeatureContract) -> list[str]:
    """What is wrong with rows of features, as ``row 3: purpose must be …: found 'yacht'``; empty if nothing is.

    Up to twenty, with the number of the others last. Columns may be left out, unknown ones may not be there.
    """
    found = list(_violations(frame, contract))
    if len(found) > _MOST:
        found[_MOST:] = [f"and {len(found) - _MOST:,} more"]
    return found


def _violations(frame: "pd.DataFrame", contract: FeatureContract) -> Iterator[str]:
    known = [*contract.feature_names, *KEYS]
    for name in frame.columns:
        if name not in known:
            nearest = difflib.get_close_matches(str(name)[:100], known, n=1)
            meant = f"; did you mean {nearest[0]}?" if nearest else ""
            yield f"{str(name)[:100]!r} is not a feature of this model{meant}"
    if not set(frame.columns) & set(contract.feature_names):
        yield f"none of the {len(contract.features)} features is there: columns must be named as in the contract"
    limits = {column.name: column.range for column in contract.inputs_of("request")}
    for feature in contract.features:
        if feature.name not in frame.columns:
            continue
        values = frame[feature.name]
        if feature.kind == "numeric":
            rule, accepts = _rule_of_number(feature, limits.get(feature.name))
        else:
            rule, accepts = _rule_of_word(feature)
        if feature.kind == "numeric" and values.dtype.kind in "iuf":
            rows = np.flatnonzero(~(accepts(values.to_numpy()) | values.isna().to_numpy())).tolist()
        else:
            rows = [row for row, value in enumerate(values) if not _is_missing(value) and not accepts(value)]
        for row in rows:
            found = str(values.iloc[row])[:100]
            yield f"row {row + 1}: {feature.name} must be {rule}, or null: found {found!r}"


def _rule_of_number(feature: FeatureColumn, limits: tuple[float, float] | None) -> tuple[str, Callable[[Any], Any]]:
    """What a number must be, in words and as a test of one value or of an array."""
    # what float32, in which models compute, cannot hold would count as missing
    most = float(np.finfo(np.float32).max)
    low, high = limits or (-most, most)
    is_whole = feature.data_type in _WHOLE_TYPES

    def accepts(value: Any) -> Any:
        if not isinstance(value, np.ndarray) and (
            isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number)
        ):
            return False
        is_within = (value >= max(low, -most)) & (value <= min(high, most))
        return is_within & (value % 1 == 0) if is_whole else is_within

    within = f" from {low:,.10g} to {high:,.10g}" if limits else ""
    return f"{'a whole number' if is_whole else 'a finite number'}{within}", accepts


def _rule_of_word(feature: FeatureColumn) -> tuple[str, Callable[[Any], bool]]:
    """What a truth value or a category must be, in words and as a test."""
    if feature.kind == "boolean":
        # pandas makes 1.0 and 0.0 of them where one is missing; a file may say 1 or 0 too
        return "true or false", lambda value: isinstance(value, int | float | np.bool_) and value in (0, 1)
    allowed = frozenset(feature.values or ())
    return f"one of {', '.join(feature.values or ())}", lambda value: isinstance(value, str) and value in allowed


def _is_missing(value: Any) -> bool:
    """None, NaN, or what pandas has for them."""
    import pandas as pd

    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))
