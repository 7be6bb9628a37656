"""The advice as a person reads it in a terminal."""

from collections.abc import Sequence

from ml.policy_advice.curve import Best, CutOffFigures, ProfitCurve
from ml.policy_advice.decided_loans import DecidedLoans

#: Cut-offs that are shown beside those in force and advised.
_SHOWN = (0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40, 0.60, 1.0)


def advice_lines(
    loans: DecidedLoans, curve: ProfitCurve, best: Best, *, asked: float | None, by_amount: bool
) -> list[str]:
    """All lines: whose loans, the prices, a table by cut-off, what a move would have done, and how to make it."""
    in_force = loans.policy.cut_off
    named = {best.cut_off: "earned most", in_force: "in force"}
    if asked is not None:
        named = {asked: "asked for", **named}
    shown = sorted({*named, *(each for each in _SHOWN if each not in named)})
    rows = [[*_cells(curve.at(each)), named.get(each, "")] for each in shown]
    weighs = "each loan weighs its amount" if by_amount else "each loan weighs the same"
    rate = float(curve.defaulted.mean())
    lines = [
        f"{loans.model_name} version {loans.model_version}: {curve.n:,} matured of {loans.n_decided:,} decisions, "
        f"{loans.first_month:%Y-%m} to {loans.last_month:%Y-%m}; {rate:.1%} defaulted",
        _prices(curve),
        f"all amounts are % of the amount lent, per application; {weighs}",
        "",
        *_aligned([_HEADER, *rows]),
        "",
        *_findings(curve, in_force, best, asked),
        "",
        "Declined applicants have no outcome: a cut-off above the one they were declined by cannot be judged by them.",
    ]
    if loans.policy.refer_width is not None:
        lines.append("Referred applications are counted as the cut-off decides them.")
    return lines


def how_to_move(loans: DecidedLoans, cut_off: float) -> list[str]:
    """The steps by which a person makes a cut-off that of a new, recorded version."""
    return [
        f"Nothing was changed. A cut-off of {cut_off:.4g} becomes a version that can be approved, served, replayed and",
        "rolled back as any other:",
        f"  1. warehouse/lenders/{loans.source}.yml:  policy: {{cut_off: {{rule: fixed, probability: {cut_off:.4g}}}}}",
        f"  2. loanlake run {loans.source}",
        f"  3. loanlake model approve VERSION --lender {loans.source} --reason …",
    ]


_HEADER = [
    "cut-off", "approved", "defaults", "revenue", "loss", "expected loss", "false approvals", "false declines",
    "their cost", "profit", "95 % interval", "",
]  # fmt: skip


def _prices(curve: ProfitCurve) -> str:
    rule = curve.rule
    text = f"a good loan earns {rule.margin:.1%}, a default loses {rule.loss_given_default:.1%}"
    if rule.cost_of_capital:
        text += f", the money costs {rule.cost_of_capital:.1%}"
    if rule.declined_good_cost:
        text += f", a declined good customer costs {rule.declined_good_cost:.1%}"
    return f"{text} (policy.cut_off of the lender's file); with exact probabilities {rule.break_even:.4g} earns most"


def _cells(row: CutOffFigures) -> list[str]:
    return [
        f"{row.cut_off:.4f}",
        f"{row.approval_rate:.1%}",
        "-" if row.default_rate is None else f"{row.default_rate:.1%}",
        _share(row.revenue),
        _share(row.realised_loss),
        _share(row.expected_loss),
        f"{row.n_false_approvals:,}",
        f"{row.n_false_declines:,}",
        _share(row.false_decline_cost),
        _share(row.profit),
        f"{_share(row.profit_low)} to {_share(row.profit_high)}",
    ]


def _findings(curve: ProfitCurve, in_force: float, best: Best, asked: float | None) -> list[str]:
    verdict = (
        "a choice in this way earns more than the cut-off in force"
        if best.is_shown
        else "no evidence that any other cut-off earns more than the one in force"
    )
    lines = [
        f"{best.cut_off:.4f} would have earned most; resampled loans choose {best.low:.4f} to {best.high:.4f}",
        f"chosen on some loans and measured on others, it gains {_points(best.gain)} ({_points(best.gain_low)} to "
        f"{_points(best.gain_high)}): {verdict}",
    ]
    for to in dict.fromkeys(each for each in (best.cut_off, asked) if each is not None and each != in_force):
        move = curve.move(in_force, to)
        lines.append(
            f"moving from {in_force:.4f} to {to:.4f} would have approved {move.n_newly_approved:,} more and declined "
            f"{move.n_newly_declined:,} more, and gained {_points(move.gain)} ({_points(move.low)} to "
            f"{_points(move.high)})"
        )
    return lines


def _share(value: float) -> str:
    return f"{100 * value:.2f}"


def _points(value: float) -> str:
    return f"{100 * value:+.2f}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
