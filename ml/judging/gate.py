"""What a gate is: one object with a name, a claim, the evidence it reads, its limits, a remedy, and ``decide``.

The gates themselves are in :mod:`ml.judging.gates`. To add one, write its class there and name it in ``GATES``.
Dagster's checks, the limits that a lender may move, what an approval may override, and the walk through history follow
from it. Evidence that no gate reads yet is one more field of :class:`Evidence`, filled where a candidate is judged:
``orchestration/defs/training/steps.py`` and ``ml/walk_forward/candidates.py``.

Nothing here imports the training stack: the API and every process that loads Dagster's definitions read the gates.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar, final

if TYPE_CHECKING:
    from ml.judging.evaluation import Evaluation
    from ml.judging.leakage import FeatureSignal

T = TypeVar("T", int, float, tuple[float, float])


@dataclass(frozen=True)
class ParityEvidence:
    """What comparing offline and online on real rows found.

    ``n_mismatches``: rows of which any feature differed by a bit; ``first_mismatch`` describes one of them.
    ``max_onnx_difference``: greatest difference of probability between the served model and the booster.
    """

    n_rows: int
    n_mismatches: int
    max_onnx_difference: float
    first_mismatch: str | None = None


@dataclass(frozen=True)
class LoggedEvidence:
    """What recomputing the features of logged online decisions from their logged inputs found.

    ``n_different``: decisions of which any feature differed by a bit; ``worst`` describes the feature that did most.
    ``n_without_bundle``: decisions whose model version's bundle is gone, so that nothing can be said of them.
    """

    n_decisions: int = 0
    n_different: int = 0
    n_without_bundle: int = 0
    worst: str | None = None


@dataclass(frozen=True)
class Evidence:
    """All that gates read; ``logged``: of the source's online decisions, empty where it has none."""

    evaluation: "Evaluation"
    signals: "Sequence[FeatureSignal]"
    parity: ParityEvidence
    logged: LoggedEvidence = field(default_factory=LoggedEvidence)


@dataclass(frozen=True)
class Limit(Generic[T]):
    """A figure that a gate compares with; a lender's file moves it by name, with a reason."""

    name: str
    default: T
    is_movable: bool = True


@dataclass(frozen=True)
class GateLimits:
    """The limits of one lender: the gates' defaults, but for the ``values`` that the lender moved, by name.

    ``moved``: why each was moved. ``honest_features``: features that the lender states to be no leak, and why: they are
    measured and shown, and refuse nothing.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    moved: Mapping[str, str] = field(default_factory=dict)
    honest_features: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, limit: Limit[T]) -> T:
        """The limit that holds for this lender."""
        found: T = self.values.get(limit.name, limit.default)
        return found


class Finding(NamedTuple):
    """Whether the evidence keeps a gate's limits, what they require, and what was found."""

    passed: bool
    required: str
    found: str


@dataclass(frozen=True)
class GateResult:
    """One gate's decision; ``message`` is a sentence for whoever reads why, with what to do where it was refused."""

    gate: str
    passed: bool
    required: str
    found: str
    message: str


class Gate(ABC):
    """What a candidate must show before it may be served.

    ``claim``: what is true of a candidate that passed, as a sentence. ``reads``: the part of the evidence it judges;
    a gate that reads ``logged`` judges what is served, and the same candidate may pass it another day. ``remedy``: what
    to do where it refused.
    """

    name: ClassVar[str]
    claim: ClassVar[str]
    remedy: ClassVar[str]
    reads: ClassVar[Literal["evaluation", "signals", "parity", "logged"]] = "evaluation"
    limits: ClassVar[tuple[Limit[Any], ...]] = ()
    #: Whether a named person may let a candidate be served that this gate refused.
    may_be_overridden: ClassVar[bool] = True
    #: Whether what it refuses may know the outcome. The lender's file can state why it does not.
    is_about_leakage: ClassVar[bool] = False

    @abstractmethod
    def _find(self, evidence: Evidence, limits: GateLimits) -> Finding:
        """Compare the evidence with the limits; computes no model and touches no lake."""

    @final
    def decide(self, evidence: Evidence, limits: GateLimits) -> GateResult:
        """The finding as a result, which names each limit that the lender moved, and why."""
        passed, required, found = self._find(evidence, limits)
        moved = [
            f"{limit.name} moved to {limits[limit]} by the lender: {limits.moved[limit.name]}"
            for limit in self.limits
            if limit.name in limits.moved
        ]
        if moved:
            required += f" ({'; '.join(moved)})"
        message = f"Required {required}; found {found}." + ("" if passed else f" Refused: {self.remedy}.")
        return GateResult(self.name, bool(passed), required, found, message)
