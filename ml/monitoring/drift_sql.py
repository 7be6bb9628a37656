"""SQL that compares one column of the decisions, month by month, with the same column of the training rows.

:func:`feature_sql` reads the two temporary tables of ``ml.monitoring.samples`` and gives one row a month: month,
n_reference, n_current, n_missing_reference, n_missing_current, n_bins (with a row on either side), psi; for numbers ks
with n_present_reference and n_present_current, for labels chi2 with chi2_freedom. It is plain text, to run in any
shell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from ml.monitoring.samples import CURRENT, REFERENCE
from warehouse.features.columns import FeatureColumn
from warehouse.sql.quoting import identifier, literal

_DECILES = [tenth / 10 for tenth in range(1, 10)]
#: Added to the rows of every bin before shares are computed, so that an empty bin stays finite.
PSEUDO_COUNT = 0.5
#: The bin of missing values, for numbers and for labels.
_NO_NUMBER, _NO_LABEL = "-1", "'missing'"


@dataclass(frozen=True)
class Cuts:
    """Where the bins of a number begin.

    ``above``: the reference's deciles, ascending, each the inclusive upper end of a bin. ``at``: values that span two
    deciles or more, with a bin each. A column that is 95 % ones then has two bins, where deciles alone (all 1) would
    make one.
    """

    above: tuple[float, ...] = ()
    at: tuple[float, ...] = ()


def read_cuts(con: duckdb.DuckDBPyConnection, columns: Sequence[str]) -> Mapping[str, Cuts]:
    """The cuts of every numeric column, from one pass over the reference; empty without values."""
    if not columns:
        return {}
    deciles = ", ".join(f"quantile_disc({identifier(column)}, {_DECILES})" for column in columns)
    found = con.execute(f"select {deciles} from {REFERENCE}").fetchall()[0]
    return {column: _cuts(values or []) for column, values in zip(columns, found, strict=True)}


def feature_sql(feature: FeatureColumn, cuts: Cuts) -> str:
    """The statement for a feature of the contract; only numbers use ``cuts``."""
    if feature.kind == "numeric":
        return number_sql(feature.name, cuts)
    return label_sql(feature.name, _labels(feature))


def reference_months_sql(feature: FeatureColumn, cuts: Cuts) -> str:
    """PSI of each month of the reference against its other months, one row per month with a value."""
    is_number = feature.kind == "numeric"
    bin_of = _number_bin(identifier(feature.name), cuts) if is_number else _label_bin(feature.name, _labels(feature))
    missing = _NO_NUMBER if is_number else _NO_LABEL
    return f"""
with current_bins as (
    select month, {bin_of} as bin, count(*) as n from {REFERENCE} group by all
),
reference_bins as (
    select bin, sum(n) as n from current_bins group by bin
),
{_PSI.format(missing=missing, pseudo_count=PSEUDO_COUNT, left_out="coalesce(current_bins.n, 0)")}
select month, psi from psi where n_missing_current < n_current order by month
"""


def number_sql(column: str, cuts: Cuts) -> str:
    """PSI over the bins of ``cuts`` and the exact two-sample Kolmogorov-Smirnov statistic, one row a month."""
    value, bin_of = identifier(column), _number_bin("value", cuts)
    return f"""
with reference_values as (
    select {value} as value, count(*) as n from {REFERENCE} group by all
),
current_values as (
    select month, {value} as value, count(*) as n from {CURRENT} group by all
),
reference_steps as (
    select value, n, sum(n) over (order by value) as n_up_to, sum(n) over () as n_all
    from reference_values where value is not null
),
current_steps as (
    select
        month,
        value,
        n,
        sum(n) over (partition by month order by value) as n_up_to,
        sum(n) over (partition by month) as n_all
    from current_values where value is not null
),
-- between two current values only the reference's share rises: the widest gap is at a current value or just below one
gaps as (
    select
        current_steps.month,
        current_steps.n_all,
        current_steps.n_up_to / current_steps.n_all as current_share,
        (current_steps.n_up_to - current_steps.n) / current_steps.n_all as current_share_below,
        coalesce(reference_steps.n_up_to / reference_steps.n_all, 0) as reference_share,
        coalesce(
            (reference_steps.n_up_to - if(reference_steps.value = current_steps.value, reference_steps.n, 0))
            / reference_steps.n_all, 0
        ) as reference_share_below
    from current_steps
    asof left join reference_steps on current_steps.value >= reference_steps.value
),
ks as (
    select
        month,
        any_value(n_all) as n_present_current,
        max(greatest(abs(current_share - reference_share), abs(current_share_below - reference_share_below))) as ks
    from gaps group by month
),
reference_bins as (
    select {bin_of} as bin, sum(n) as n from reference_values group by all
),
current_bins as (
    select month, {bin_of} as bin, sum(n) as n from current_values group by all
),
{_PSI.format(missing=_NO_NUMBER, pseudo_count=PSEUDO_COUNT, left_out="0")}
select
    psi.*,
    n_reference - n_missing_reference as n_present_reference,
    coalesce(ks.n_present_current, 0) as n_present_current,
    if(n_reference > n_missing_reference, ks.ks, null) as ks
from psi left join ks using (month)
order by month
"""


def label_sql(column: str, values: Sequence[str]) -> str:
    """PSI over the labels and chi-squared over those present, one row a month; unlisted values count as ``other``."""
    bin_of = _label_bin(column, values)
    return f"""
with reference_bins as (
    select {bin_of} as bin, count(*) as n from {REFERENCE} group by all
),
current_bins as (
    select month, {bin_of} as bin, count(*) as n from {CURRENT} group by all
),
{_PSI.format(missing=_NO_LABEL, pseudo_count=PSEUDO_COUNT, left_out="0")},
present as (
    select *, sum(r) over months as r_all, sum(c) over months as c_all
    from sides where bin <> 'missing'
    window months as (partition by month)
),
chi2 as (
    select
        month,
        -- both rows of the 2 x k table: (observed - expected)^2 / expected; expected = row total x column total / n
        sum(
            pow(r - (r + c) * r_all / (r_all + c_all), 2) / ((r + c) * r_all / (r_all + c_all))
            + pow(c - (r + c) * c_all / (r_all + c_all), 2) / ((r + c) * c_all / (r_all + c_all))
        ) as chi2,
        count(*) - 1 as chi2_freedom
    from present where r_all > 0 and c_all > 0 group by month having count(*) > 1
)
select psi.*, chi2.chi2, chi2.chi2_freedom
from psi left join chi2 using (month)
order by month
"""


# r and c: rows of the reference (without those left out) and of the month in a bin; empty bins do not count
_PSI = """
sides as (
    select
        months.month,
        bins.bin,
        (coalesce(reference_bins.n, 0) - {left_out})::double as r,
        coalesce(current_bins.n, 0)::double as c
    from (select distinct month from current_bins) as months
    cross join (select bin from reference_bins union select bin from current_bins) as bins
    left join reference_bins on reference_bins.bin = bins.bin
    left join current_bins on current_bins.bin = bins.bin and current_bins.month = months.month
    where r + c > 0
),
smoothed as (
    select
        *,
        (r + {pseudo_count}) / (sum(r) over months + {pseudo_count} * count(*) over months) as r_share,
        (c + {pseudo_count}) / (sum(c) over months + {pseudo_count} * count(*) over months) as c_share
    from sides
    window months as (partition by month)
),
psi as (
    select
        month,
        sum(r)::bigint as n_reference,
        sum(c)::bigint as n_current,
        coalesce(sum(r) filter (where bin = {missing}), 0)::bigint as n_missing_reference,
        coalesce(sum(c) filter (where bin = {missing}), 0)::bigint as n_missing_current,
        count(*) as n_bins,
        sum((c_share - r_share) * ln(c_share / r_share)) as psi
    from smoothed group by month
)""".strip()


def _cuts(deciles: Sequence[float]) -> Cuts:
    values = sorted(set(deciles))
    return Cuts(above=tuple(values), at=tuple(value for value in values if deciles.count(value) > 1))


def _number_bin(value: str, cuts: Cuts) -> str:
    steps = [f"({value} > {_double(cut)})::integer" for cut in cuts.above]
    steps += [f"({value} >= {_double(cut)})::integer" for cut in cuts.at]
    return f"if({value} is null, {_NO_NUMBER}, {' + '.join(['0', *steps])})"


def _labels(feature: FeatureColumn) -> Sequence[str]:
    return feature.values or ("true", "false")


def _label_bin(column: str, values: Sequence[str]) -> str:
    listed, label = ", ".join(literal(value) for value in values), f"{identifier(column)}::varchar"
    # the prefix separates a listed value named "other" or "missing" from ours
    return f"case when {label} is null then {_NO_LABEL} when {label} in ({listed}) then '=' || {label} else 'other' end"


def _double(value: float) -> str:
    # a quoted cast rounds correctly; a bare literal would be read as a decimal first
    return f"'{value!r}'::double"
