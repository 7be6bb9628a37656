"""Settings of a lender's file that differ from those of the last build, which the tables were made with."""

from typing import Any

import duckdb

from warehouse.lenders.lender import Lender


def built_settings(lender: Lender) -> dict[str, tuple[str, Any]]:
    """The columns of ``core.int_lenders``: the key of the file that each has, and its value for this lender."""
    label, split, cohort, set_aside = lender.label, lender.split, lender.cohort, lender.set_aside
    is_dated = lender.dates == "known"
    return {
        "is_dated": ("dates", is_dated),
        "label_window_months": ("label.window_months", label.window_months),
        "outcome_lag_months": ("label.outcome_lag_months", label.outcome_lag_months),
        "window_lag_months": ("label.window_lag_months", label.window_lag_months),
        "split_by": ("split.by", split.by if is_dated else "hash"),
        "tune_months": ("split.tune_months", split.tune_months),
        "test_months": ("split.test_months", split.test_months),
        "split_min_rows": ("split.min_rows", split.min_rows),
        "split_min_defaults": ("split.min_defaults", split.min_defaults),
        "split_max_share": ("split.max_share", split.max_share),
        "cohort_segments": ("cohort.segments", ",".join(("", "all", *cohort.segments, "")) if is_dated else ""),
        "cohort_months": ("cohort.months", cohort.months),
        "cohort_smoothing": ("cohort.smoothing", cohort.smoothing),
        "max_set_aside_share": ("set_aside.max_share", set_aside.max_share),
        "loss_given_default": ("policy.cut_off.loss_given_default", lender.policy.cut_off.loss_given_default),
        "accepted_files": ("set_aside.accepted_files", f":{':'.join(set_aside.accepted_files)}:"),
    }


def changed_settings(con: duckdb.DuckDBPyConnection, source: str, lender: Lender) -> tuple[str, ...]:
    """What differs, as "key: built, now"; nothing before the first build."""
    wanted = built_settings(lender)
    built = con.execute(f"select {', '.join(wanted)} from core.int_lenders where source = ?", [source]).fetchone()
    return tuple(
        f"{key} (built with {_shown(found)}, now {_shown(value)})"
        for (key, value), found in zip(wanted.values(), built or (), strict=bool(built))
        if found != value
    )


def _shown(value: Any) -> str:
    return "null" if value is None else str(value).strip(":,") or "none"
