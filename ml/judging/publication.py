"""The rule by which a run may publish what it trained, after the gates (:mod:`ml.judging.gates`).

The gates decide whether a version may be served; this rule, whether it replaces the champion without a person. A
candidate that passed its gates is

- a **first model** if its lender has no champion: it is published;
- a **refresh** if its features (version and definitions), family and settings are the champion's and its newest
  labelled decision is not older. It is published if it is no worse on the out-of-time test rows, as the gate against
  the champion defines it. Requiring a gain would keep an ageing model for want of proof;
- a **change** otherwise. It is published only if it is better: the 95 % interval of the AUC difference on the same
  loans (DeLong's, paired) lies above zero, and its Brier score is no worse. Otherwise it is registered and waits for
  ``loanlake model promote`` or ``approve``, with name and reason. One with another version of the features begins as a
  challenger in shadow, unless a challenger runs already.

Changes upstream of the features (a lender's staging SQL, label rules of the dbt project) count as a refresh.

``always`` publishes what passed its gates if a named person gives a reason; ``never`` only registers. Approval, if
``LOANLAKE_APPROVAL`` requires it, comes first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ml.judging.evaluation import Comparison
from ml.judging.gate import GateLimits
from ml.judging.gates import is_no_worse
from ml.training.lineage import Lineage
from warehouse.lenders.lender import PublishMode

Action = Literal["publish", "shadow", "wait"]
#: The rule in one line, for a run's answers.
RULE = (
    "a refresh (features, family and settings of the champion) is published if it is no worse on the newest mature "
    "loans; a change only if it is better by a paired 95 % interval, or if a person decides so"
)


@dataclass(frozen=True)
class Publication:
    """The rule's decision on a candidate that passed its gates; the reason goes into the history."""

    action: Action
    why: str


@dataclass(frozen=True)
class Rival:
    """The champion to replace, and the candidate's figures minus its own on the same test loans."""

    version: int
    lineage: Lineage
    comparison: Comparison


def decide(
    candidate: Lineage,
    rival: Rival | None,
    *,
    mode: PublishMode = "auto",
    reason: str = "",
    limits: GateLimits | None = None,
) -> Publication:
    """Apply this module's rule; ``rival``: None if the lender has no champion; ``reason``: of ``always``."""
    if mode == "never":
        return Publication("wait", "since this run only registers (publish: never)")
    if mode == "always":
        return Publication("publish", f"by a person's decision: {reason}")
    if rival is None:
        return Publication("publish", "first model of its lender: only the gates decide")
    return _beside(candidate, rival, limits or GateLimits())


def _beside(candidate: Lineage, rival: Rival, limits: GateLimits) -> Publication:
    found = f"AUC {rival.comparison.auc.text} against version {rival.version}"
    changed, no_worse = changes(candidate, rival.lineage), is_no_worse(rival.comparison, limits)
    if not changed:
        if no_worse:
            return Publication("publish", f"refresh of version {rival.version}, no worse: {found}")
        return Publication("wait", f"refresh of version {rival.version}, not shown to be no worse: {found}")
    what = ", ".join(changed)
    if rival.comparison.auc.low > 0 and no_worse:
        return Publication("publish", f"better by a paired 95 % interval: {found} ({what})")
    why = f"not shown to be better: {found} ({what})"
    is_version = candidate.feature_version != rival.lineage.feature_version
    return Publication("shadow" if is_version else "wait", why)


def changes(candidate: Lineage, champion: Lineage) -> tuple[str, ...]:
    """What makes a candidate more than a refresh of the champion, in words; empty for a refresh."""
    found = []
    if candidate.feature_version != champion.feature_version:
        found.append(f"features {candidate.feature_version} in place of {champion.feature_version}")
    elif candidate.contract_fingerprint != champion.contract_fingerprint:
        found.append(f"another definition of features {candidate.feature_version}")
    before, after = _flat(champion.settings), _flat(candidate.settings)
    differing = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    # the baseline's settings make no model; of two families, each setting of the one is missing in the other
    unsaid = ("logistic.", "model.") if "family" in differing else ("logistic.",)
    differing = [name for name in differing if not name.startswith(unsaid)]
    found += [f"setting {name}: {_shown(after.get(name))} in place of {_shown(before.get(name))}" for name in differing]
    if datetime.fromisoformat(candidate.decided_to) < datetime.fromisoformat(champion.decided_to):
        found.append(f"labels to {candidate.decided_to[:10]} only, the champion's to {champion.decided_to[:10]}")
    return tuple(found)


def _shown(value: object) -> str:
    return (", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)) or "none"


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= {f"{name}.{inner}": each for inner, each in value.items()} if isinstance(value, dict) else {name: value}
    return flat
