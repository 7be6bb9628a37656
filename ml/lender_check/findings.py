"""What a lender's evidence means for a model: findings that stop one, that spoil one, or that are good to know."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ml.judging.gate import GateLimits
from ml.judging.gates import EnoughLoans, NoFeatureKnowsTheOutcome, enough_loans, suspicions
from ml.lender_check.evidence import LenderEvidence, Terms
from ml.training.training_set import SPLITS

Level = Literal["stops", "warns"]
#: At least this share of the defaulted loans, of at least this number, ends with its planned life: no coincidence.
_AT_TERM, _ENOUGH_DEFAULTS = 0.5, 10
#: Planned lives are a few round numbers; of actual lives the short ones hold the defaults.
_MANY_TERMS, _FALL = 24, 2.0
#: Below this, the outcomes of a month are not complete.
_FEW_LABELS = 0.8


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
        *_loss(evidence),
        *_labels(evidence),
        *_gates(evidence, limits),
        *_terms(evidence.terms),
        *_people(evidence),
    ]
    return tuple(sorted(found, key=lambda each: each.level != "stops"))


def _loss(evidence: LenderEvidence) -> Iterator[CheckFinding]:
    for loss in evidence.losses:
        if loss.is_too_much:
            yield CheckFinding(
                "stops", "rejects", str(loss), "declare the columns as the files have them, then build again"
            )


def _labels(evidence: LenderEvidence) -> Iterator[CheckFinding]:
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
    test = next((each for each in evidence.splits if each.split == "test"), None)
    if test is not None:
        finding = enough_loans(test.n_rows, test.n_defaults, limits)
        if not finding.passed:
            text = f"gate {EnoughLoans.name} would refuse: required {finding.required}; found {finding.found}"
            yield CheckFinding("stops", "gates", text, EnoughLoans.remedy)
    for suspicion in suspicions(evidence.signals, limits):
        text = f"gate {NoFeatureKnowsTheOutcome.name} would refuse: {suspicion}"
        yield CheckFinding("stops", "gates", text, NoFeatureKnowsTheOutcome.remedy)


def _terms(terms: Terms) -> Iterator[CheckFinding]:
    if terms.is_dated and terms.n_defaults >= _ENOUGH_DEFAULTS:
        share = terms.n_defaults_at_term / terms.n_defaults
        if share >= _AT_TERM:
            yield CheckFinding(
                "warns",
                "terms",
                f"{terms.n_defaults_at_term:,} of {terms.n_defaults:,} defaulted loans ({share:.0%}) end in the month "
                "in which their term does: the term may be the loan's actual life, which is known only afterwards",
                "give the planned life as term_months",
            )
    short, long = terms.short_rate or 0.0, terms.long_rate or 0.0
    if terms.n_terms >= _MANY_TERMS and short >= _FALL * max(long, 0.001):
        yield CheckFinding(
            "warns",
            "terms",
            f"the shortest third of {terms.n_terms:,} different terms defaults at {short:.1%}, the longest at "
            f"{long:.1%}: the term may be the loan's actual life, which a default cuts short",
            "give the planned life as term_months",
        )


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
