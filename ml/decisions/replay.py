"""Recompute a logged decision from the log and its bundle, and compare the two to the bit.

A family may state a bound within which a row's score alone and in a block differ. A batch's decision then has a raw
score within the bound, from which all else follows to the bit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ml.bundle.bundle import Bundle
from ml.bundle.logged_values import ReasonCode, load_features, load_inputs, load_reasons, same_bits
from ml.bundle.scorer import Score, Scorer
from ml.registry.deployment import bundle_directory
from ml.registry.registered_version import load_registered
from warehouse.decision_log import Decision, find_decision, newest_in_lake, newest_in_outbox
from warehouse.errors import NotFoundError
from warehouse.features.contract import FeatureContract
from warehouse.settings import Settings


@dataclass(frozen=True)
class Recomputed:
    """The bundle's result for the logged inputs; features in contract order."""

    features: tuple[object, ...]
    score: Score
    reasons: tuple[ReasonCode, ...]


@dataclass(frozen=True)
class Difference:
    """One difference; ``what`` is ``features.<name>`` or a column of the log."""

    what: str
    logged: object
    recomputed: object


@dataclass(frozen=True)
class Replay:
    """A decision, its recomputation, and where they differ.

    ``raw_difference``: by how much a batch's raw score differs within ``score_bound``, the bound of its family.
    """

    decision: Decision
    recomputed: Recomputed
    differences: tuple[Difference, ...]
    score_bound: float = 0.0
    raw_difference: float = 0.0

    @property
    def equal(self) -> bool:
        """Whether every feature, the score, the decision and its reasons are equal to the bit.

        But for ``raw_difference``.
        """
        return not self.differences

    @property
    def text(self) -> str:
        """What was found, for people."""
        if not self.equal:
            return f"DIFFERENT in {', '.join(each.what for each in self.differences)}"
        if self.raw_difference:
            return (
                f"equal: the raw score, made in a block of rows, differs by {self.raw_difference:.1e} from that of the "
                f"row alone, within the family's bound of {self.score_bound:g}; all else to the bit"
            )
        return "equal to the bit"


def replay(settings: Settings, decision_id: str) -> Replay:
    """Replay a decision from the outbox or the lake, online or batch.

    Raises NotFoundError if the decision was not logged or its bundle is gone, BundleError if the bundle was changed.
    """
    decision = find_decision(settings, decision_id)
    return replay_decision(decision, Scorer(_bundle_of(settings, decision)))


def replay_newest(settings: Settings, n: int) -> Iterator[Replay]:
    """Replay the newest decisions of the log and the lake, at most ``n``; a version's scorer is loaded once.

    Raises as :func:`replay`.
    """
    newest = [*newest_in_outbox(settings, n), *newest_in_lake(settings, n)]
    newest.sort(key=lambda decision: decision.decided_at, reverse=True)
    scorers: dict[tuple[str, int], Scorer] = {}
    for decision_id in list(dict.fromkeys(decision.decision_id for decision in newest))[:n]:
        decision = find_decision(settings, decision_id)
        version = decision.model_name, decision.model_version
        if version not in scorers:
            scorers[version] = Scorer(_bundle_of(settings, decision))
        yield replay_decision(decision, scorers[version])


def replay_decision(decision: Decision, scorer: Scorer) -> Replay:
    """Replay a decision with the scorer of its model version."""
    features = scorer.features(load_inputs(decision.inputs, scorer.contract))
    score, bound = scorer.score(features), scorer.bundle.guarantees.score_bound
    difference = abs(decision.raw_score - score.raw) if decision.route != "online" else 0.0
    if 0 < difference <= bound:
        score = scorer.score_of(np.array([decision.raw_score], dtype=np.float32))
    else:
        difference = 0.0
    reasons = tuple(scorer.reasons(features)) if score.decision != "approve" else ()
    recomputed = Recomputed(features, score, reasons)
    differences = tuple(_differences(decision, recomputed, scorer.contract))
    return Replay(decision, recomputed, differences, bound, difference)


def _bundle_of(settings: Settings, decision: Decision) -> Bundle:
    directory = bundle_directory(settings, decision.model_name, decision.model_version)
    if not directory.exists():
        raise NotFoundError(
            f"replaying {decision.decision_id} needs the bundle of {decision.model_name} version "
            f"{decision.model_version}, which is not at {directory}; restore it from a backup"
        )
    return load_registered(settings, decision.source, decision.model_version)


def _differences(decision: Decision, recomputed: Recomputed, contract: FeatureContract) -> Iterator[Difference]:
    logged = load_features(decision.features, contract)
    for name, before, now in zip(contract.feature_names, logged, recomputed.features, strict=True):
        if not same_bits(before, now):
            yield Difference(f"features.{name}", before, now)
    score = recomputed.score
    for what, before, now in (
        ("raw_score", decision.raw_score, score.raw),
        ("points", decision.points, score.points),
        ("probability", decision.probability, score.probability),
        ("probability_low", decision.probability_low, score.low),
        ("probability_high", decision.probability_high, score.high),
        ("band", decision.band, score.band),
        ("decision", decision.decision, score.decision),
        ("feature_version", decision.feature_version, contract.version),
    ):
        if not same_bits(before, now):
            yield Difference(what, before, now)
    before_reasons = load_reasons(decision.reasons)
    if not _same_reasons(before_reasons, recomputed.reasons):
        yield Difference("reasons", before_reasons, recomputed.reasons)


def _same_reasons(logged: Sequence[ReasonCode], recomputed: Sequence[ReasonCode]) -> bool:
    return len(logged) == len(recomputed) and all(
        (before.feature, before.text) == (now.feature, now.text) and same_bits(before.contribution, now.contribution)
        for before, now in zip(logged, recomputed, strict=True)
    )
