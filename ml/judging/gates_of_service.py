"""The gates of what callers get: the scores, the reasons and the features of the model that was judged."""

from ml.judging.gate import Evidence, Finding, Gate, GateLimits


class OfflineEqualsOnline(Gate):
    """Offline and online features agree on the candidate itself, and so do the forms of the model."""

    name = "offline_equals_online"
    claim = "On real rows the API computes what the model was trained on, to the bit or within its family's bound."
    reads = "parity"
    may_be_overridden = False
    remedy = (
        "the request path would not compute what the model was trained on: run the property tests of "
        "warehouse/features/expressions on the feature named; where only scores differ, the family states too small a "
        "bound, or its served form is another model"
    )

    def _find(self, evidence: Evidence, limits: GateLimits) -> Finding:
        parity, bound = evidence.parity, evidence.guarantees.score_bound
        found = (
            f"{parity.n_mismatches:,} of {parity.n_rows:,} rows differ, scores by at most "
            f"{parity.max_score_difference:.1e}"
        )
        return Finding(
            parity.n_rows > 0 and parity.n_mismatches == 0 and parity.max_score_difference <= bound,
            "every feature equal to the bit on real rows, online and offline, and the served form's raw scores, of a "
            f"row alone and in a block, {f'within {bound:g} in log-odds of' if bound else 'equal to the bit to'} those "
            "of the model that was judged",
            f"{found} ({parity.first_mismatch})" if parity.first_mismatch else found,
        )


class ReasonsAreExact(Gate):
    """A caller must be able to state the principal reasons of a decline; an estimate may name others."""

    name = "reasons_are_exact"
    claim = "The reasons of a decline are the model's own, not an estimate."
    reads = "guarantees"
    allows_shadow = True
    remedy = (
        "it may be tried in shadow, where no caller gets its answers: `loanlake challenge start VERSION --shadow "
        "--reason …`; a named person may let it answer by overriding this gate, with the reason"
    )

    def _find(self, evidence: Evidence, limits: GateLimits) -> Finding:
        is_exact = evidence.guarantees.reasons_are_exact
        found = "exact reasons" if is_exact else "estimated reasons"
        return Finding(is_exact, "a family whose reasons are exact", found)


class LoggedFeaturesEqualRecomputed(Gate):
    """Offline and online features agree on served decisions; the same candidate may pass once they are fixed."""

    name = "logged_features_equal_recomputed"
    claim = "What was served lately is what the warehouse computes, to the bit."
    reads = "logged"
    may_be_overridden = False
    remedy = (
        "what was served is not what the warehouse computes: see monitoring.feature_skew, replay a decision it names, "
        "fix the request path, then set LOANLAKE_SKEW_SINCE to the time of the fix and run again"
    )

    def _find(self, evidence: Evidence, limits: GateLimits) -> Finding:
        logged = evidence.logged
        found = f"{logged.n_different:,} of {logged.n_decisions:,} online decisions differ"
        if logged.worst:
            found += f" ({logged.worst})"
        if logged.n_without_bundle:
            found += f"; {logged.n_without_bundle:,} more are of versions whose bundle is gone"
        return Finding(
            logged.n_different == 0,
            "every logged feature of this source's recent online decisions equal to the bit to what its version's SQL "
            "makes of the logged inputs",
            found,
        )
