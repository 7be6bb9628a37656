"""Publish a registered version, try it in shadow, or let it wait, and report why.

Separate from the asset, for use without Dagster. Importing this module imports ``ml``.
"""

from dataclasses import dataclass
from typing import Literal

from ml.bundle.bundle import load_bundle
from ml.judging.evaluation import CHAMPION, Evaluation
from ml.judging.gate_limits import limits_of
from ml.judging.publication import RULE, Publication, Rival, decide
from ml.registry.approval import find_approval, require_approved, require_passed, unserved_approval
from ml.registry.registered_version import get_version, load_registered
from ml.rollout.challenge import challenge
from ml.rollout.promotion import promote, promote_approved
from orchestration.defs.training.candidates import CandidateDirectory, current_candidate
from orchestration.defs.training.steps import compare_with_champion
from orchestration.lib.champions import champion_of, was_in_service
from warehouse.errors import ApprovalMissing, NotFoundError
from warehouse.lenders.lender import PublishMode, PublishSetting
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings

#: Author of changes without a named person: schedules, sensors, and runs from the UI.
AUTOMATION = "dagster"


@dataclass(frozen=True)
class Outcome:
    """The outcome for the registered version; ``text``: one sentence."""

    word: Literal["published", "in shadow", "waiting", "unchanged"]
    text: str


def publish_candidate(
    settings: Settings,
    source: str,
    *,
    mode: PublishMode | None,
    reason: str,
    by: str,
    directory: CandidateDirectory | None = None,
) -> Outcome:
    """Decide about the source's candidate by :mod:`ml.judging.publication`, act on it, and record the outcome.

    ``mode``: None for the lender's or the platform's default. ``by``: the person who started the run, or empty.
    ``directory``: a candidate beside the main job's current one. Leaves unchanged: a former champion or challenger, and
    a version that waits for approval or was approved for a manual roll-out. Raises NotFoundError if the candidate is
    not registered yet.
    """
    directory = directory or current_candidate(settings, source)
    registration = directory.read_registration()
    if registration is None:
        raise NotFoundError("the candidate is not registered yet: materialise model/registered_model first")
    run = _Run(settings, source, directory, registration["model_name"], int(registration["model_version"]), by)
    outcome = run.left_alone() or run.follow(mode, reason)
    directory.write_publication({"word": outcome.word, "text": outcome.text, "rule": RULE})
    return outcome


@dataclass(frozen=True)
class _Run:
    settings: Settings
    source: str
    directory: CandidateDirectory
    name: str
    version: int
    by: str

    @property
    def title(self) -> str:
        return f"{self.name} version {self.version}"

    @property
    def promotion(self) -> str:
        return f"`loanlake model promote {self.version} --lender {self.source} --reason …`"

    def left_alone(self) -> Outcome | None:
        """Why nothing is decided, or None."""
        if was_in_service(self.settings, self.source, self.name, self.version):
            return Outcome("unchanged", "nothing new to publish")
        approval = find_approval(self.settings, get_version(self.settings, self.source, self.version))
        if approval is not None and not approval.serve:
            return Outcome(
                "waiting",
                f"{self.title} was approved, to be rolled out by hand: "
                f"`loanlake canary start {self.version} --lender {self.source} --reason …`",
            )
        return None

    def follow(self, mode: PublishMode | None, reason: str) -> Outcome:
        """Decide and act; raises GateRefusal for a refused version, whatever Dagster's checks say."""
        found = get_version(self.settings, self.source, self.version)
        require_passed(self.settings, found)
        try:
            require_approved(self.settings, found)
        except ApprovalMissing as missing:
            return Outcome("waiting", str(missing))
        approval = unserved_approval(self.settings, self.source)
        if approval is not None and approval.is_of(self.name, self.version):
            promote_approved(self.settings, self.source)
            return Outcome("published", f"published now, {approval.why}")
        wanted = self._wanted(mode, reason)
        decided = decide(
            load_bundle(self.directory.bundle).lineage,
            self._rival(),
            mode=wanted.mode,
            reason=wanted.reason,
            limits=limits_of(read_lender(self.source)),
        )
        if decided.action == "publish":
            return self._publish(decided, by=wanted.by or AUTOMATION)
        if decided.action == "shadow":
            return self._try_in_shadow(decided, by=wanted.by or AUTOMATION)
        return Outcome("waiting", f"{self.title} waits, {decided.why}; {self.promotion} serves it")

    def _wanted(self, mode: PublishMode | None, reason: str) -> PublishSetting:
        """The run's setting, else the lender's, else the platform's."""
        if mode is not None:
            return PublishSetting(mode, reason, self.by)
        of_lender = read_lender(self.source).publish
        if of_lender is not None:
            by = of_lender.by if of_lender.mode == "always" else self.by
            return PublishSetting(of_lender.mode, of_lender.reason, by)
        return PublishSetting(self.settings.publish, by=self.by)

    def _rival(self) -> Rival | None:
        champion = champion_of(self.settings, self.source)
        if champion is None:
            return None
        evaluation = Evaluation.from_dict(load_bundle(self.directory.bundle).metrics)
        if evaluation.champion_version == champion.model_version:
            comparison = evaluation.comparisons[CHAMPION]
        else:  # it was trained beside another champion, or none
            comparison = compare_with_champion(self.settings, self.directory)
        lineage = load_registered(self.settings, self.source, champion.model_version).lineage
        return Rival(champion.model_version, lineage, comparison)

    def _publish(self, decided: Publication, *, by: str) -> Outcome:
        promote(self.settings, self.version, source=self.source, by=by, why=decided.why)
        return Outcome("published", f"published now, {decided.why}")

    def _try_in_shadow(self, decided: Publication, *, by: str) -> Outcome:
        served = champion_of(self.settings, self.source)
        if served is None or served.challenger is not None:
            beside = "a challenger runs already" if served else "its lender is not served"
            return Outcome("waiting", f"{self.title} waits, {decided.why}, and {beside}; {self.promotion} serves it")
        challenge(self.settings, self.version, source=self.source, by=by, why=decided.why)
        return Outcome(
            "in shadow",
            f"{self.title} began as challenger in shadow, {decided.why}; compare the two in monitoring.swap_set, "
            f"{self.promotion} serves it, and `loanlake run {self.source} --feature-version "
            f"{served.feature_version}` refreshes the champion",
        )
