"""The months, one after another: train if a policy says so, promote what passes the gates, decide, measure."""

from collections.abc import Callable
from contextlib import closing
from datetime import date
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from ml.bundle.feature_rows import offline_frame
from ml.judging.metrics import candidate_on_test
from ml.monitoring.drift import compare_features, compare_scores
from ml.monitoring.performance import Performance, measure_labelled
from ml.monitoring.samples import CURRENT, REFERENCE, present
from ml.training.training_set import TrainingSet
from ml.walk_forward.candidates import Candidates, Champion
from ml.walk_forward.plan import RetrainingPolicy, WalkPlan, previous_month
from ml.walk_forward.policies import find_alarm, wish
from ml.walk_forward.results import DECISIONS, WalkedMonth, read_month, read_walk, write_month, write_performance
from ml.walk_forward.rows import FINAL_LABELS, LABELS, KnownRows
from warehouse.errors import SettingError, TrainingSetError
from warehouse.features.contract import FeatureContract
from warehouse.files.patterns import parquet
from warehouse.lake.connection import connect, current_snapshot, writer
from warehouse.lenders.label_rule import LabelRule
from warehouse.settings import Settings
from warehouse.sql.quoting import identifier

if TYPE_CHECKING:
    import pyarrow as pa

Report = Callable[[WalkedMonth], None]


def walk_forward(
    settings: Settings, plan: WalkPlan, rule: LabelRule, contract: FeatureContract, report: Report | None = None
) -> list[WalkedMonth]:
    """Walk the plan's months on the newest lake snapshot; return every month of the run, including earlier ones.

    Each walked month is stored per policy and passed to ``report``; outcomes are judged at the end, on all labels of
    the snapshot. A walk can restart at any month without training twice; the month before the first hands its champion
    on. Raises SettingError if months lie outside the source's applications, or the run had other labels, and
    TrainingSetError if the labels never suffice to train.
    """
    with writer("prepare a walk forward", settings) as con:
        snapshot = current_snapshot(con)  # adds missing tables to a lake of an older version
    with closing(connect(settings)) as con:
        rows = KnownRows(
            con,
            rule,
            contract,
            source=plan.source,
            snapshot=snapshot,
            window_months=plan.label_window_months,
            exposures=plan.training.learns_from_open,
        )
        _check_months(plan, rows)
        walk = _Walk(settings, plan, con, rows)
        before = {policy: walk.month_before(policy) for policy in plan.policies}
        _check_trainable(plan, rows, has_champion=any(month and month.champion for month in before.values()))
        for month in plan.months:
            walk.begin(month)
            for policy in plan.policies:
                before[policy] = walked = walk.walk(policy, before[policy])
                if report:
                    report(walked)
            walk.candidates.keep_only({each.champion for each in before.values() if each and each.champion})
        _judge(settings, plan, con, rows)
        return read_walk(con, run=plan.run, source=plan.source)


class _Walk:
    """A walk's models, and what the policies share on the present day, the first of a month."""

    def __init__(self, settings: Settings, plan: WalkPlan, con: duckdb.DuckDBPyConnection, rows: KnownRows) -> None:
        self._settings, self._plan, self._con, self._rows = settings, plan, con, rows
        self.candidates = Candidates(
            settings, rows.contract, source=plan.source, training=plan.training, limits=plan.limits
        )

    def begin(self, month: date) -> None:
        """Go to the first day of a month."""
        self._month = month
        self._training_set: TrainingSet | TrainingSetError | None = None
        self._decided: dict[str, tuple[pa.Table, dict[str, Any]]] = {}

    def month_before(self, policy: RetrainingPolicy) -> WalkedMonth | None:
        """The stored month before the first one."""
        plan = self._plan
        found = read_month(self._con, plan, policy, previous_month(plan.first))
        if found is None:
            return None
        walked_to = f"run {plan.run!r} of {plan.source} was walked to {found.month:%Y-%m}"
        if found.label_window_months != plan.label_window_months:
            raise SettingError(
                f"{walked_to} with labels of {found.label_window_months} months: found {plan.label_window_months}; "
                "walk it from its first month, or name another run"
            )
        if found.feature_version != self._rows.contract.version:
            raise SettingError(
                f"{walked_to} with features {found.feature_version}: found {self._rows.contract.version}; walk it from "
                "its first month, or name another run"
            )
        return found

    def walk(self, policy: RetrainingPolicy, before: WalkedMonth | None) -> WalkedMonth:
        """Walk the month under one policy and store it; ``before``: the month before it."""
        plan, rows = self._plan, self._rows
        champion = None
        if before is not None and before.champion is not None and before.champion_month is not None:
            champion = self.candidates.load(before.champion, before.champion_month)
        after, is_retrained, why = self._train(policy, before, champion)
        decisions, drift = self._decide(after)
        words = decisions["decision"].to_pylist()
        walked = WalkedMonth(
            run=plan.run,
            source=plan.source,
            policy=policy,
            month=self._month,
            champion=after.fingerprint if after else None,
            champion_month=after.month if after else None,
            champion_before=champion.fingerprint if champion else None,
            is_retrained=is_retrained,
            is_promoted=after is not None and (champion is None or after.fingerprint != champion.fingerprint),
            why=why,
            n_decisions=decisions.num_rows,
            n_declined=words.count("decline"),
            n_referred=words.count("refer"),
            feature_version=rows.contract.version,
            label_window_months=plan.label_window_months,
            lake_snapshot=rows.snapshot,
            **drift,
        )
        write_month(self._settings, walked, decisions)
        return walked

    def _train(
        self, policy: RetrainingPolicy, before: WalkedMonth | None, champion: Champion | None
    ) -> tuple[Champion | None, bool, str]:
        """The champion after the day, whether a candidate was made, and why."""
        if champion is None or before is None:
            reason = "no champion yet"
        else:
            alarm = self._alarm(before, champion) if policy == "drift" else None
            is_wanted, reason = wish(policy, alarm)
            if not is_wanted:
                return champion, False, reason
        training_set = self._rows_of_the_day()
        if isinstance(training_set, TrainingSetError):
            return champion, False, f"{reason}; nothing to train on: {training_set}"
        candidates = self.candidates
        if champion is not None and candidates.fingerprint(training_set) == champion.fingerprint:
            return champion, False, f"{reason}; no label is new since the champion was trained"
        candidate = candidates.train(training_set, self._month)
        refusals, publication = candidates.judge(self._con, candidate, training_set, champion)
        if refusals:
            return champion, True, f"{reason}; " + " ".join(f"{each.gate}: {each.message}" for each in refusals)
        # no person decides here: a candidate that would wait, or start in shadow, leaves the champion
        after = candidate if publication.action == "publish" else champion
        return after, True, f"{reason}; every gate passed; {publication.why}"

    def _rows_of_the_day(self) -> "TrainingSet | TrainingSetError":
        if self._training_set is None:
            try:
                self._training_set = self._rows.training_set(self._month)
            except TrainingSetError as error:
                self._training_set = error
        return self._training_set

    def _alarm(self, before: WalkedMonth, champion: Champion) -> str | None:
        """Monitoring's alarm about the champion on this day, if any."""
        self._rows.ask_labels(self._month)
        return find_alarm(before, _performance(self._con, before, LABELS, of_champion=champion))

    def _decide(self, champion: Champion | None) -> "tuple[pa.Table, dict[str, Any]]":
        if champion is None:
            return no_decisions(), {}
        if champion.fingerprint not in self._decided:
            decisions = _decide_month(self._rows, self._month, champion)
            drift = _measure_drift(self._con, self._rows, self._month, champion, decisions)
            self._decided[champion.fingerprint] = decisions, drift
        return self._decided[champion.fingerprint]


def _judge(settings: Settings, plan: WalkPlan, con: duckdb.DuckDBPyConnection, rows: KnownRows) -> None:
    """Judge every decision of the run on all labels the snapshot knows."""
    known_until = rows.ask_final_labels()
    for policy in plan.policies:
        last = read_month(con, plan, policy, plan.last)
        if last is not None:
            measured = {row.month: row for row in _performance(con, last, FINAL_LABELS)}
            write_performance(settings, plan, policy, measured, known_until=known_until)


def _performance(
    con: duckdb.DuckDBPyConnection, of: WalkedMonth, labels: str, of_champion: Champion | None = None
) -> tuple[Performance, ...]:
    """By month, of all decisions of the run's policy, or of one champion's, judged by its own test."""
    key = [of.run, of.source, of.policy]
    return measure_labelled(
        con,
        f"select decisions.month, decisions.probability as p, labels.is_default from {DECISIONS} as decisions "
        f"left join {labels} as labels on labels.application_id = decisions.application_id "
        f"where decisions.run = $1 and decisions.source = $2 and decisions.policy = $3 "
        + ("and decisions.champion = $4" if of_champion else ""),
        [*key, of_champion.fingerprint] if of_champion else key,
        tested_low=candidate_on_test(of_champion.bundle.metrics)["auc_low"] if of_champion else None,
    )


def _decide_month(rows: KnownRows, month: date, champion: Champion) -> "pa.Table":
    """Score a month's applications in batches, as the API does.

    Columns: application_id, decided_at, raw_score, probability, its interval, band, decision. Without
    reasons, which change no figure and take 3 ms a row.
    """
    import pyarrow as pa

    scorer, decided = champion.scorer, []
    for batch in rows.applications(month):
        matrix = scorer.bundle.design_matrix.encode(offline_frame(batch, scorer.contract))
        scores = scorer.score_matrix(matrix)
        columns = {
            "application_id": batch.column("application_id"),
            "decided_at": batch.column("decided_at"),
            "raw_score": scores.raw.astype(np.float64),
            "probability": scores.probability,
            "probability_low": scores.low,
            "probability_high": scores.high,
            "band": scores.bands,
            "decision": scores.decisions,
        }
        decided.append(pa.table(columns, schema=_schema()))
    return pa.concat_tables(decided) if decided else no_decisions()


def no_decisions() -> "pa.Table":
    """The decisions of a month without a champion or without applications."""
    return _schema().empty_table()


def _schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema(
        [
            ("application_id", pa.string()),
            ("decided_at", pa.timestamp("us")),
            ("raw_score", pa.float64()),
            ("probability", pa.float64()),
            ("probability_low", pa.float64()),
            ("probability_high", pa.float64()),
            ("band", pa.string()),
            ("decision", pa.string()),
        ]
    )


def _measure_drift(
    con: duckdb.DuckDBPyConnection, rows: KnownRows, month: date, champion: Champion, decisions: "pa.Table"
) -> dict[str, Any]:
    """Compare a month's decisions with the rows the champion was fitted on; empty if the month has none.

    The figures are columns of :class:`ml.walk_forward.results.WalkedMonth`; the worst feature has the highest PSI for
    its limit.
    """
    if decisions.num_rows == 0:
        return {}
    contract = rows.contract
    columns = ", ".join(present(feature, f"features.{identifier(feature.name)}") for feature in contract.features)
    # the bundle has the ids of its training rows, whose snapshot may have expired
    con.execute(
        f"create or replace temp table {REFERENCE} as "
        f"select date_trunc('month', features.decided_at)::date as month, {columns}, scores.probability "
        f"from {parquet(champion.bundle.reference_scores)} as scores join {rows.features_as('features')} "
        "on features.application_id = scores.application_id",
    )
    con.register("walk_decided", decisions)
    con.execute(
        f"create or replace temp table {CURRENT} as select $1::date as month, {columns}, decided.probability "
        f"from walk_decided as decided join {rows.features_as('features')} "
        "on features.application_id = decided.application_id",
        [month],
    )
    con.unregister("walk_decided")
    n_reference, n_decisions = (
        int(con.execute(f"select count(*) from {table}").fetchall()[0][0]) for table in (REFERENCE, CURRENT)
    )
    features = compare_features(con, contract, n_reference=n_reference, n_decisions=n_decisions)
    (score,) = compare_scores(con)
    worst = max(features, key=lambda row: row.psi_of_limit)
    return {
        "score_psi": score.psi,
        "is_score_drifted": score.is_drifted,
        "worst_feature": worst.feature,
        "worst_feature_psi": worst.psi,
        "n_features_drifted": sum(row.is_drifted for row in features),
        "n_features": len(features),
    }


def _check_months(plan: WalkPlan, rows: KnownRows) -> None:
    first, last = rows.decided_months()
    if plan.first < first or plan.last > last:
        raise SettingError(
            f"the months of a walk must have applications: those of {plan.source} were decided from {first:%Y-%m} to "
            f"{last:%Y-%m}, found {plan.first:%Y-%m} to {plan.last:%Y-%m}"
        )


def _check_trainable(plan: WalkPlan, rows: KnownRows, *, has_champion: bool) -> None:
    if has_champion:
        return
    found = rows.first_trainable_day(after=previous_month(plan.first))
    if found is None or found > plan.last:
        when = f"from {found:%Y-%m} on they do" if found else "they never do in what the lake holds"
        raise TrainingSetError(
            f"a walk of {plan.source} from {plan.first:%Y-%m} to {plan.last:%Y-%m} needs labels known by then, with "
            f"defaults and repaid loans in each of train, tune and test: with "
            f"labels of {plan.label_window_months} months {when}; walk later months, or shorten the window"
        )
