"""The gate of ensembles: several models must be better than the best of them, or one model would do."""

from ml.judging.gate import Evidence, Finding, Gate, GateLimits


class BeatsItsBestMember(Gate):
    """Tune rows name the best member, so the test compares two models that were both fixed before it.

    Other gates ask that a candidate is no worse. An ensemble costs the time, the files and the explanations of several
    models, so it must show a gain.

    A person who overrides this gate accepts that cost for these members and settings. A refresh of the champion with
    the same ones is then judged as any refresh: it must not be shown to be worse than its best member.
    """

    name = "ensemble_beats_its_best_member"
    claim = "An ensemble is better than its best member on the same test loans."
    remedy = (
        "train the member's family alone with `loanlake run --family`, or choose other members under `model.settings` "
        "in the lender's file (warehouse/lenders/)"
    )

    def _find(self, evidence: Evidence, limits: GateLimits) -> Finding:
        found = evidence.evaluation.beside_best_member
        if found is None:
            return Finding(True, "better than the best member of an ensemble", "a single model")
        name, member, comparison = found
        ours, override = evidence.evaluation.overall("test"), evidence.overrides.get(self.name)
        required, passed = f"AUC above that of {name}", comparison.auc.low > 0
        if override is not None:
            required, passed = f"AUC not below that of {name}", not comparison.auc.high < 0
        accepted = (
            f" ({override.by} overrode the gate for version {override.version}, which this one refreshes: "
            f"{override.reason})"
            if override is not None
            else ""
        )
        return Finding(
            passed,
            f"{required}, the best member by tune rows, on the same test loans by a paired 95 % interval{accepted}",
            f"AUC {ours.auc:.4f} against {member.auc:.4f} ({comparison.auc.text}); "
            f"Brier {ours.brier:.4f} against {member.brier:.4f} ({comparison.brier.text})",
        )
