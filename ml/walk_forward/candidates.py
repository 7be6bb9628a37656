"""A model for a day: trained once for equal rows and settings, and judged by production's gates.

Bundles lie under the home's ``walk_forward/<source>/<fingerprint>``: policies share them, and a repeated or interrupted
walk trains nothing twice.
"""

import getpass
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
from numpy.typing import NDArray

from ml.bundle.bundle import Bundle, load_bundle, write_bundle
from ml.bundle.parity import measure_parity
from ml.bundle.scorer import Scorer
from ml.judging.evaluation import CHAMPION, ChampionScores, Evaluation, beside_champion, evaluate
from ml.judging.gate import Evidence, GateLimits, GateResult
from ml.judging.gates import refused, run_gates
from ml.judging.leakage import feature_signals
from ml.judging.publication import Publication, Rival, decide
from ml.training.fitting import TrainingSettings, train
from ml.training.lineage import collect_lineage, training_fingerprint
from ml.training.reference import build_reference
from ml.training.training_set import TrainingSet
from warehouse.features.contract import FeatureContract
from warehouse.settings import Settings

Floats = NDArray[np.float64]
#: Rows compared offline and online per candidate. Production compares 50,000 once a promotion, 3 s; in a walk only the
#: model is new each month.
PARITY_ROWS = 2_000


@dataclass(frozen=True)
class Champion:
    """A deciding model, and the month on whose first day it was trained."""

    month: date
    fingerprint: str
    scorer: Scorer

    @property
    def bundle(self) -> Bundle:
        """Its bundle."""
        return self.scorer.bundle


class Candidates:
    """Trains, reloads and judges the models of one source."""

    def __init__(
        self,
        settings: Settings,
        contract: FeatureContract,
        *,
        source: str,
        training: TrainingSettings,
        limits: GateLimits,
    ) -> None:
        self._directory = settings.walk_forward / source
        self._contract, self._training, self._limits = contract, training, limits
        self._scorers: dict[str, Scorer] = {}

    def fingerprint(self, training_set: TrainingSet) -> str:
        """The fingerprint of the model of these rows."""
        return training_fingerprint(training_set.sha256, self._contract, self._training)

    def train(self, training_set: TrainingSet, day: date) -> Champion:
        """The model of these rows, as a day's candidate; trained only if it does not exist."""
        fingerprint = self.fingerprint(training_set)
        directory = self._directory / fingerprint
        if not directory.exists():
            candidate = train(training_set, self._contract, self._training)
            write_bundle(
                directory,
                candidate,
                self._contract,
                evaluate(candidate, training_set),
                collect_lineage(candidate, training_set, self._contract, by=getpass.getuser()),
                build_reference(candidate, training_set),
            )
        return self.load(fingerprint, day)

    def load(self, fingerprint: str, month: date) -> Champion:
        """An existing model; raises BundleError if its bundle is gone or was changed."""
        if fingerprint not in self._scorers:
            self._scorers[fingerprint] = Scorer(load_bundle(self._directory / fingerprint))
        return Champion(month, fingerprint, self._scorers[fingerprint])

    def keep_only(self, champions: set[str]) -> None:
        """Unload other models; their bundles stay."""
        self._scorers = {name: scorer for name, scorer in self._scorers.items() if name in champions}

    def judge(
        self,
        con: duckdb.DuckDBPyConnection,
        candidate: Champion,
        training_set: TrainingSet,
        champion: Champion | None,
    ) -> tuple[tuple[GateResult, ...], Publication]:
        """The gates that refuse a candidate, and the publication rule's decision on one that passes.

        Both compare it with the champion of the day on the same test rows.
        """
        evaluation, rival = Evaluation.from_dict(candidate.bundle.metrics), None
        if champion is not None:
            # a walk's champion has no registered version: its month identifies it
            month = int(f"{champion.month:%Y%m}")
            evaluation = beside_champion(
                evaluation,
                ChampionScores(month, _probabilities(champion, training_set)),
                defaulted=training_set.defaulted("test"),
                probabilities=_probabilities(candidate, training_set),
                cut_off=candidate.bundle.policy.cut_off,
            )
            rival = Rival(month, champion.bundle.lineage, evaluation.comparisons[CHAMPION])
        gates = run_gates(
            Evidence(
                evaluation,
                feature_signals(training_set, self._contract),
                measure_parity(con, candidate.bundle, sample_rows=PARITY_ROWS, snapshot=training_set.snapshot).evidence,
                candidate.bundle.guarantees,
            ),
            self._limits,
        )
        return refused(gates), decide(candidate.bundle.lineage, rival, limits=self._limits)


def _probabilities(model: Champion, training_set: TrainingSet) -> Floats:
    matrix = model.bundle.design_matrix.encode(training_set.rows("test"))
    return model.scorer.score_matrix(matrix).probability
