"""What a lender's evidence means for a model: findings that stop one, that spoil one, or that are good to know."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ml.judging.gate import GateLimits, Size
from ml.judging.gates import EnoughLoans, NoFeatureKnowsTheOutcome, enough_loans, suspicions
from ml.lender_check.evidence import LenderEvidence
from ml.training.training_set import SPLITS

Level = Literal["stops", "warns"]
_CORRECT_THE_DATE = "where a date is wrong, correct it in the file, load the file and build again"


@dataclass(frozen=True)
class CheckFinding:
    """``level``: whether a model is stopped or spoiled; ``about``: one word for its kind; ``remedy``: what to do."""

    level: Level
    about: str
    text: str
    remedy: str


def findings(evidence: LenderEvidence, limits: GateLimits) -> tuple[CheckFinding, ...]:
    """Everything that would stop or spoil a model, the first that stops it first."""
    found = [
        *_changes(evidence),
        *_loss(evidence),
        *_labels(evidence),
        *_gates(evidence, limits),
        *_dates(evidence),
        *_alerts(evidence),
        *_people(evidence),
    ]
    return tuple(sorted(found, key=lambda each: each.level != "stops"))


def _changes(evidence: LenderEvidence) -> Iterator[CheckFinding]:
    if evidence.changed:
        yield CheckFinding(
            "warns",
            "settings",
            f"the figures are of the last build; the lender's file has changed since: {', '.join(evidence.changed)}",
            "run `dbt build --target prod` in warehouse/, then check again",
        )


def _dates(evidence: LenderEvidence) -> Iterator[CheckFinding]:
    if evidence.apart is not None:
        before, first, last, n_rows, n_all = evidence.apart.tail
        months = first if first == last else f"{first} to {last}"
        yield CheckFinding(
            "warns",
            "dates",
            f"{n_rows:,} of {n_all:,} loans are decided in {months}, months after all others, which end in {before}; "
            f"labels mature by the newest date, so loans that still run may count as repaid: "
            f"{', '.join(evidence.apart.examples)}",
            _CORRECT_THE_DATE,
        )
    known = evidence.clock_apart
    if known is not None and (evidence.apart is None or known.tail.last > evidence.apart.tail.last):
        before, first, last, n_rows, n_all = known.tail
        months = first if first == last else f"{first} to {last}"
        yield CheckFinding(
            "warns",
            "dates",
            f"{n_rows:,} of {n_all:,} rows became known in {months} (known_at), months after all others, which end in "
            f"{before}; labels mature by the newest known_at, so loans that still run may count as repaid: "
            f"{', '.join(known.examples)}",
            _CORRECT_THE_DATE,
        )
    if evidence.ahead is not None:
        ahead = evidence.ahead
        yield CheckFinding(
            "stops",
            "dates",
            f"no row can be known (known_at) before it was received: found {ahead.n_rows:,} rows, up to "
            f"{ahead.newest:%Y-%m-%d}, though the last file or report was received on "
            f"{ahead.received_at:%Y-%m-%d}; labels mature by the newest known_at: {', '.join(ahead.examples)}",
            "make known_at the day on which you received the row, in the staging models or the file, and build again",
        )


def _loss(evidence: LenderEvidence) -> Iterator[CheckFinding]:
    for loss in evidence.losses:
        if loss.is_too_much:
            yield CheckFinding(
                "stops", "rejects", str(loss), "declare the columns as the files have them, then build again"
            )


def _labels(evidence: LenderEvidence) -> Iterator[CheckFinding]:
    if evidence.no_life is not None:
        level: Level = "stops" if evidence.no_life.is_whole else "warns"
        yield CheckFinding(level, "labels", evidence.no_life.text, evidence.no_life.remedy)
        if evidence.no_life.is_whole:
            return
    n_labels = sum(month.n_labels for month in evidence.months)
    if n_labels == 0:
        n_outcomes = sum(month.n_outcomes for month in evidence.months)
        yield CheckFinding(
            "stops",
            "labels",
            f"no loan has a mature label; {n_outcomes:,} have an outcome",
            "a label needs the loan's whole life and its lag, or a window: see `label` in the lender's file",
        )
        return
    sizes = {each.split: each for each in evidence.splits}
    for split in SPLITS:
        size = sizes.get(split)
        if size is None or not 0 < size.n_defaults < size.n_rows:
            n_rows, n_defaults = (size.n_rows, size.n_defaults) if size else (0, 0)
            yield CheckFinding(
                "stops",
                "splits",
                f"{split} must have defaults and good loans: found {n_rows:,} loans, {n_defaults:,} of them defaults",
                "ingest more months, or change `split` in the lender's file",
            )


def _gates(evidence: LenderEvidence, limits: GateLimits) -> Iterator[CheckFinding]:
    sizes = {each.split: Size(each.n_rows, each.n_defaults) for each in evidence.splits}
    if "test" in sizes:
        finding = enough_loans(sizes, limits, is_random=not evidence.is_split_by_time)
        if not finding.passed:
            text = f"gate {EnoughLoans.name} would refuse: required {finding.required}; found {finding.found}"
            yield CheckFinding("stops", "gates", text, finding.remedy or EnoughLoans.remedy)
    for suspicion in suspicions(evidence.signals, limits):
        text = f"gate {NoFeatureKnowsTheOutcome.name} would refuse: {suspicion}"
        yield CheckFinding("stops", "gates", text, NoFeatureKnowsTheOutcome.remedy)


def _alerts(evidence: LenderEvidence) -> Iterator[CheckFinding]:
    remedies = {
        "actual_terms": "give the planned life as term_months",
        "outcome_dates": "correct the dates: docs/bring-your-own-lender.md lists the rows",
    }
    for alert in evidence.alerts:
        yield CheckFinding("warns", alert.kind, alert.message, remedies[alert.kind])


def _people(evidence: LenderEvidence) -> Iterator[CheckFinding]:
    for each in evidence.personal:
        where = f"raw.{each.table}.{each.column} looks like {each.what}"
        if each.is_read and not each.is_declared:
            yield CheckFinding(
                "warns",
                "personal",
                f"{where}, and staging reads it",
                "no model may use what names a person: leave it out",
            )
        elif not each.is_declared:
            yield CheckFinding(
                "warns",
                "personal",
                f"{where}, and is not declared",
                "name it under `personal` beside `identifies` in the YAML of the staging models",
            )
