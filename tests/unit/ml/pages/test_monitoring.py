"""The sentence about monitoring on the first page."""

from ml.pages.features import FeatureMonth, FeatureMonths
from ml.pages.monitoring import monitoring_summary


def of_month(month: str, *, limit: float | None, is_drifted: bool = False) -> FeatureMonth:
    return FeatureMonth(
        month=month,
        psi=0.4,
        psi_limit=limit,
        ks=None,
        ks_limit=None,
        missing_then=0.0,
        missing=0.0,
        missing_limit=None,
        is_drifted=is_drifted,
        is_severe=False,
        bins=[],
    )


def test_the_summary_is_about_the_newest_month_that_was_judged() -> None:
    """A few decisions of a month that has begun hid what had drifted in the last whole one."""
    judged = of_month("2024-05", limit=0.2, is_drifted=True)
    features = [
        FeatureMonths("bureau_score", [judged, of_month("2024-06", limit=None)]),
        FeatureMonths("purpose_relative_default_rate", [of_month("2024-05", limit=None)]),
    ]

    assert monitoring_summary(features) == "2024-05: 1 of 2 features have drifted."


def test_a_month_of_too_few_decisions_is_named_where_there_is_no_other() -> None:
    assert monitoring_summary([FeatureMonths("bureau_score", [of_month("2024-06", limit=None)])]).startswith("2024-06")
    assert monitoring_summary([]) == "Nothing was measured yet."
