"""The result of a check as plain text."""

from collections.abc import Iterator, Sequence

from ml.lender_check.evidence import LenderEvidence
from ml.lender_check.findings import CheckFinding
from ml.lender_check.newest_months import Month

_SHOWN_REJECTS, _SHOWN_SIGNALS, _SHOWN_MONTHS = 15, 10, 24


def report(evidence: LenderEvidence, findings: Sequence[CheckFinding]) -> str:
    """All that was found, the verdict last."""
    parts = [
        *_rows_set_aside(evidence),
        *_months(evidence),
        *_splits(evidence),
        *_signals(evidence),
        *_verdict(findings),
    ]
    return "\n".join(parts)


def _rows_set_aside(evidence: LenderEvidence) -> Iterator[str]:
    yield "Rows set aside"
    for each in evidence.rejects[:_SHOWN_REJECTS]:
        column, example = f" {each.column}" if each.column else "", f" ({each.example})" if each.example else ""
        yield f"  {each.n_rows:>9,}  {each.entity}{column}: {each.reason}{example}; {', '.join(each.lines)}"
    more = len(evidence.rejects) - _SHOWN_REJECTS
    if more > 0:
        yield f"  and {more:,} more reasons in raw.quarantine"
    if not evidence.rejects:
        yield "  none"


def _months(evidence: LenderEvidence) -> Iterator[str]:
    yield ""
    if not evidence.is_dated:
        yield "Labels: the files have no dates"
        yield f"  {'':<10} {'loans':>9} {'outcomes':>9} {'labels':>9} {'defaults':>9}"
        yield _line("all", evidence.months)
        return
    yield "Labels by month of the decision"
    yield f"  {'month':<10} {'loans':>9} {'outcomes':>9} {'labels':>9} {'defaults':>9}"
    earlier, shown = evidence.months[:-_SHOWN_MONTHS], evidence.months[-_SHOWN_MONTHS:]
    if earlier:
        yield _line(f"to {earlier[-1].month}", earlier)
    for each in shown:
        yield _line(each.month, [each])


def _line(name: str, months: Sequence[Month]) -> str:
    counts = [(each.n_applications, each.n_outcomes, each.n_labels, each.n_defaults) for each in months]
    return f"  {name:<10} " + " ".join(f"{sum(column):>9,}" for column in zip(*counts, strict=True))


def _splits(evidence: LenderEvidence) -> Iterator[str]:
    yield ""
    yield f"Splits: {evidence.split_reason}" if evidence.split_reason else "Splits"
    for each in evidence.splits:
        decided = f", decided {each.first:%Y-%m-%d} to {each.last:%Y-%m-%d}" if evidence.is_dated else ""
        yield f"  {each.split:<6} {each.n_rows:>9,} loans, {each.n_defaults:>7,} defaults{decided}"
    if not evidence.splits:
        yield "  none: no label is mature"


def _signals(evidence: LenderEvidence) -> Iterator[str]:
    strongest = sorted(evidence.signals, key=lambda signal: -signal.auc)[:_SHOWN_SIGNALS]
    strongest = [signal for signal in strongest if signal.auc > 0.5]
    yield ""
    yield "AUC of each feature alone, on train rows"
    for signal in strongest:
        yield f"  {signal.auc:.3f}  {signal.feature}"
    if not strongest:
        yield "  no feature tells defaults from good loans"


def _verdict(findings: Sequence[CheckFinding]) -> Iterator[str]:
    yield ""
    stopping = [each for each in findings if each.level == "stops"]
    warnings = [each for each in findings if each.level == "warns"]
    for title, group in (("Would stop a model", stopping), ("Look at", warnings)):
        if group:
            yield title
            for each in group:
                yield f"  {each.about}: {each.text}. To do: {each.remedy}"
    if not findings:
        yield "Nothing that was checked would stop a model"
