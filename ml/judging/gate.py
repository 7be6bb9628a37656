"""A gate: one object with a name, a claim, the evidence it reads, its limits, a remedy, and ``decide``.

To add one, write its class in :mod:`ml.judging.gates` (of the model and its figures) or
:mod:`ml.judging.gates_of_service` (of what callers get), and add it to ``GATES``; Dagster's checks, a lender's limits,
overrides and the walk through history follow. New evidence is one more field of :class:`Evidence`, filled in
``orchestration/defs/training/steps.py`` and ``ml/walk_forward/candidates.py``.

Imports no training stack: the API and all Dagster processes read the gates.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar, final

if TYPE_CHECKING:
    from ml.families.protocol import Guarantees
    from ml.judging.evaluation import Evaluation
    from ml.judging.leakage import FeatureSignal

T = TypeVar("T", int, float, tuple[float, float])


@dataclass(frozen=True)
class ParityEvidence:
    """Result of comparing offline and online on real rows.

    ``n_mismatches``: rows with any feature that differed by a bit; ``first_mismatch`` describes one.
    ``max_score_difference``: greatest difference in log-odds between the model and its served form, alone or in a
    block.
    """

    n_rows: int
    n_mismatches: int
    max_score_difference: float
    first_mismatch: str | None = None


@dataclass(frozen=True)
class LoggedEvidence:
    """Result of recomputing the features of logged online decisions from their logged inputs.

    ``n_different``: decisions with any feature that differed by a bit; ``worst`` describes the most frequent feature.
    ``n_without_bundle``: decisions that cannot be checked, since their version's bundle is gone.
    """

    n_decisions: int = 0
    n_different: int = 0
    n_without_bundle: int = 0
    worst: str | None = None


@dataclass(frozen=True)
class Override:
    """A named person's override of a gate's refusal of a version, and why."""

    version: int
    by: str
    reason: str


@dataclass(frozen=True)
class Evidence:
    """All that gates read.

    ``guarantees``: what the family states. ``logged``: the source's online decisions, empty if it has none.
    ``overrides``: of a refresh of the champion, by gate: those of earlier versions that differ by their labels alone.
    """

    evaluation: "Evaluation"
    signals: "Sequence[FeatureSignal]"
    parity: ParityEvidence
    guarantees: "Guarantees"
    logged: LoggedEvidence = field(default_factory=LoggedEvidence)
    overrides: Mapping[str, Override] = field(default_factory=dict)


@dataclass(frozen=True)
class Limit(Generic[T]):
    """A figure that a gate compares with; a lender's file changes it by name, with a reason.

    ``low``, ``high``: the values that it can have, inclusive; each of the two where the limit is a pair.
    """

    name: str
    default: T
    low: float
    high: float = inf

    @property
    def rule(self) -> str:
        """The requirement, from the word "must" on."""
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        values = f", at least {self.low:g}" if self.high == inf else f" from {self.low:g} to {self.high:g}"
        if isinstance(self.default, tuple):
            return f"must be two numbers, low and high, each{values}"
        return f"must be {kind}{values}"

    def holds(self, found: float | tuple[float, float]) -> bool:
        """Whether a gate can mean something with this value."""
        if isinstance(self.default, tuple) != isinstance(found, tuple):
            return False
        values = found if isinstance(found, tuple) else (found,)
        is_whole = not isinstance(self.default, int) or all(float(value).is_integer() for value in values)
        # a value that is not a number (.nan) is in no range
        return is_whole and all(self.low <= value <= self.high for value in values) and values[0] <= values[-1]


@dataclass(frozen=True)
class GateLimits:
    """One lender's limits: the gates' defaults, except the ``values`` that the lender moved, by name.

    ``moved``: why each was moved. ``honest_features``: features that the lender declares not to be leaks, and why; they
    are measured and shown, but refuse nothing.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    moved: Mapping[str, str] = field(default_factory=dict)
    honest_features: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, limit: Limit[T]) -> T:
        """The limit that holds for this lender."""
        found: T = self.values.get(limit.name, limit.default)
        return found


class Size(NamedTuple):
    """The loans of one part of training, and the defaults among them."""

    n: int
    n_defaults: int


class Finding(NamedTuple):
    """Whether the evidence keeps a gate's limits, the requirement, and the finding.

    ``remedy``: in place of the gate's, where that would do nothing.
    """

    passed: bool
    required: str
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class GateResult:
    """One gate's decision; ``message`` is a sentence, with the remedy if it refused."""

    gate: str
    passed: bool
    required: str
    found: str
    message: str


class Gate(ABC):
    """A claim that a candidate must prove before it may be served.

    ``claim``: a sentence, true of a candidate that passed. ``reads``: the part of the evidence it judges; a gate that
    reads ``logged`` judges the deployed model, and may pass the same candidate another day. ``remedy``: what to do
    after a refusal.
    """

    name: ClassVar[str]
    claim: ClassVar[str]
    remedy: ClassVar[str]
    reads: ClassVar[Literal["evaluation", "signals", "parity", "guarantees", "logged"]] = "evaluation"
    limits: ClassVar[tuple[Limit[Any], ...]] = ()
    #: Whether a named person may override its refusal.
    may_be_overridden: ClassVar[bool] = True
    #: Whether a version that it refused may still be tried in shadow, where no caller gets its answers.
    allows_shadow: ClassVar[bool] = False
    #: Whether a refusal means a feature may know the outcome; the lender's file can state why it does not.
    is_about_leakage: ClassVar[bool] = False

    @abstractmethod
    def _find(self, evidence: Evidence, limits: GateLimits) -> Finding:
        """Compare the evidence with the limits; computes no model and reads no lake."""

    @final
    def decide(self, evidence: Evidence, limits: GateLimits) -> GateResult:
        """The finding as a result that names each limit the lender moved, and why."""
        passed, required, found, remedy = self._find(evidence, limits)
        moved = [
            f"{limit.name} moved to {limits[limit]} by the lender: {limits.moved[limit.name]}"
            for limit in self.limits
            if limit.name in limits.moved
        ]
        if moved:
            required += f" ({'; '.join(moved)})"
        message = f"Required {required}; found {found}." + ("" if passed else f" Refused: {remedy or self.remedy}.")
        return GateResult(self.name, bool(passed), required, found, message)
