"""Check feature values from outside the lake against the contract, as requests are checked.

A feature copied from a request (``annual_rate``) has the request's limits. A computed feature has only the limits of
its type, since its range in the contract is the plausible one, not the possible one.
"""

import difflib
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from warehouse.features.columns import FeatureColumn
from warehouse.features.contract import FeatureContract

if TYPE_CHECKING:
    import pandas as pd

#: Columns of the feature table that are not features.
KEYS = frozenset({"application_id", "borrower_id", "source", "decided_at"})
_WHOLE_TYPES = {"integer", "bigint", "smallint"}
#: Maximum number of violations listed one by one.
_MOST = 20


def find_violations(frame: "pd.DataFrame", contract: FeatureContract) -> list[str]:
    """Violations in rows of features, as ``row 3: purpose must be …: found 'yacht'``; empty if there are none.

    Lists up to twenty, then the number of the others. Columns may be missing; unknown columns are violations.
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
    # models compute in float32; a greater value would count as missing
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
    if feature.kind == "boolean":
        # pandas turns booleans into 1.0 and 0.0 if one is missing; a file may say 1 or 0 too
        return "true or false", lambda value: isinstance(value, int | float | np.bool_) and value in (0, 1)
    allowed = frozenset(feature.values or ())
    return f"one of {', '.join(feature.values or ())}", lambda value: isinstance(value, str) and value in allowed


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))
