"""What helps a random split whose test is too small: months do nothing there."""

from collections.abc import Mapping
from math import ceil, inf

from ml.judging.gate import Size

#: Of tune, and of test: at least a tenth is left to learn from.
_LARGEST_SHARE = 0.45


def more_of_a_random_split(sizes: Mapping[str, Size], needed: Size) -> str:
    """What helps where months do nothing: more loans, or a larger share for the test."""
    test, everything = sizes["test"], Size(*(sum(counts) for counts in zip(*sizes.values(), strict=True)))
    # a few loans may all be in the test, and more of them would not
    share = test.n / everything.n if 2 * test.n < everything.n else 0.0
    lacking = [
        f"{ceil(want / share):,} {what} (found {has:,})"
        for want, got, has, what in zip(needed, test, everything, ("loans with labels", "defaults"), strict=True)
        if got < want and share
    ]
    remedy = "figures on so few loans decide nothing: "
    remedy += f"at the test's share of {share:.0%}, ingest {' and '.join(lacking)}" if lacking else "ingest more loans"
    wanted = max((want / has if has else inf for want, has in zip(needed, everything, strict=True)), default=inf)
    if wanted <= _LARGEST_SHARE:
        remedy += (
            f"; or give the test more of them, and train less, with `split.max_share` of at least "
            f"{ceil(100 * wanted) / 100:g}, `split.min_rows` of {needed.n} and `split.min_defaults` of "
            f"{needed.n_defaults} in the lender's file (warehouse/lenders/)"
        )
    return remedy
