"""From a registered version to scores: online store, deployment, decisions."""

import time
from collections.abc import Iterator

import dagster as dg

from ml.batches.backfill import score_applications
from ml.judging.publication import RULE
from ml.registry.deployment_changes import record_changes
from ml.rollout.after_promotion import go_back_if_worse
from ml.rollout.canary import move_canary
from ml.rollout.promotion import promote_approved
from orchestration.defs.serving.publishing import AUTOMATION, publish_candidate
from orchestration.lib import layers, pages
from orchestration.lib.champions import champion_of
from orchestration.lib.feature_versions import feature_tables, online_tables
from orchestration.lib.lenders import LENDERS
from orchestration.lib.retries import lake_awaited
from orchestration.lib.run_settings import RunSettings
from warehouse.decision_log import ingest_into_lake
from warehouse.lake.connection import connect
from warehouse.online_store import refresh
from warehouse.settings import Settings
from warehouse.sources.late_sources import late_sources


@dg.asset(key=layers.ONLINE_STORE, deps=online_tables(), group_name="serving", kinds={"python", "lmdb"})
def online_store() -> dg.MaterializeResult[None]:
    """Current history and cohort inputs, keyed for one look-up per request; only changed records are written."""
    done = refresh(Settings.from_environment())
    kinds = {"borrowers": done.borrowers, "cohorts": done.cohorts}
    sizes = ", ".join(f"{kind.n_written + kind.n_unchanged:,} {name}" for name, kind in kinds.items())
    n_changed = sum(kind.n_written + kind.n_deleted for kind in kinds.values())
    return dg.MaterializeResult(
        metadata={
            "summary": f"{sizes}; {n_changed:,} records changed",
            **{name: kind.n_written + kind.n_unchanged for name, kind in kinds.items()},
            "records_changed": n_changed,
            "lake_snapshot": done.snapshot,
            "seconds": round(done.seconds, 2),
        }
    )


@dg.asset(
    key=layers.DEPLOYMENT,
    deps=[layers.REGISTERED_MODEL, layers.ONLINE_STORE],
    partitions_def=LENDERS,
    group_name="serving",
    kinds={"python"},
    output_required=False,
)
def deployment(context: dg.AssetExecutionContext, run_settings: RunSettings) -> Iterator[dg.MaterializeResult[None]]:
    """The lender's served version: ``deployment.json`` and its bundle, which the API loads within seconds.

    The rule of ``ml.judging.publication`` decides whether the candidate replaces the champion. If it waits, the served
    version stays. If no model of the lender is served, nothing downstream runs.
    """
    settings, source = Settings.from_environment(), context.partition_key
    outcome = publish_candidate(
        settings,
        source,
        mode=run_settings.mode,
        reason=run_settings.reason,
        by=run_settings.by,
    )
    served = champion_of(settings, source)
    if served is None:
        if settings.approval_required:
            raise dg.Failure(outcome.text)
        context.log.warning(f"no model of {source} is served: {outcome.text}")
        return
    yield dg.MaterializeResult(
        metadata={
            "summary": f"{served.model_name} version {served.model_version}, {outcome.text}",
            "publication": outcome.word,
            "rule": RULE,
            "served": f"{served.model_name} version {served.model_version}",
            "features": served.feature_version,
            "bundle": dg.MetadataValue.path(served.bundle_directory(settings)),
            "published_at": served.published_at,
            "published_by": served.published_by,
            "challenger": served.challenger.name if served.challenger else "none",
        }
    )


@dg.asset(
    key=layers.BATCH_DECISIONS,
    deps=[layers.DEPLOYMENT, *feature_tables().values()],
    partitions_def=LENDERS,
    group_name="serving",
    kinds={"python", "duckdb"},
    pool=layers.LAKE_WRITER,
)
def batch_decisions(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Scores of applications that the champion did not learn from: its test rows and those after, each written once.

    None if no model of the lender is served yet: a lender's first files are loaded before its first model.
    """
    settings, source = Settings.from_environment(), context.partition_key
    champion = champion_of(settings, source)
    if champion is None:
        summary = f"no model of source {source!r} is served yet: `loanlake run {source}` makes one"
        return dg.MaterializeResult(metadata={"summary": summary, "applications_scored": 0})
    with connect(settings) as con:
        late = [str(each) for each in late_sources(con, source)]
    for each in late:
        context.log.warning(f"scored with what is known: {each}")
    counts = score_applications(settings, champion)
    share = ""
    if counts.n_found:
        share = f", {counts.n_declined / counts.n_found:.0%} declined"
        share += f", {counts.n_referred / counts.n_found:.0%} referred" if counts.n_referred else ""
    return dg.MaterializeResult(
        metadata={
            "summary": f"{counts.n_scored:,} applications{share}" + (f"; {'; '.join(late)}" if late else ""),
            "applications_scored": counts.n_scored,
            "declined": counts.n_declined,
            "referred": counts.n_referred,
            "without_history": counts.n_without_history,
            "late files": "; ".join(late) or "none",
            "decided_since": f"{counts.since:%Y-%m-%d}",
            "model": f"{champion.model_name} version {champion.model_version}",
            "seconds": round(counts.seconds, 2),
        }
    )


@dg.asset(key=layers.ONLINE_DECISIONS, group_name="serving", kinds={"python", "sqlite"}, pool=layers.LAKE_WRITER)
def online_decisions(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Decisions and reported outcomes of the API, moved from its log to the lake exactly once."""
    started = time.monotonic()
    with lake_awaited(context):
        taken = ingest_into_lake(Settings.from_environment())
    return dg.MaterializeResult(
        metadata={
            "summary": f"{taken.n_decisions:,} decisions, {taken.n_outcomes:,} outcomes",
            "decisions": taken.n_decisions,
            "shadow decisions": taken.n_shadows,
            "outcomes": taken.n_outcomes,
            "seconds": round(time.monotonic() - started, 2),
        }
    )


@dg.asset(
    key=layers.PREDICTIONS,
    deps=[layers.BATCH_DECISIONS, layers.ONLINE_DECISIONS],
    group_name="serving",
    kinds={"duckdb"},
)
def predictions() -> dg.MaterializeResult[None]:
    """One row per decision, online or batch: inputs, features, probability, decision, reasons, model version."""
    with connect(Settings.from_environment()) as con:
        found = con.execute(
            "select model_name, model_version, route, count(*), max(decided_at) from serving.predictions "
            "group by all order by all"
        ).fetchall()
    rows = [[f"{name} version {version}", route, f"{n:,}", f"{at:%Y-%m-%d}"] for name, version, route, n, at in found]
    total = sum(n for *_, n, _ in found)
    return dg.MaterializeResult(
        metadata={
            "summary": f"{total:,} decisions",
            "dagster/row_count": total,
            "by model": pages.table(["model", "route", "decisions", "latest"], rows),
        }
    )


@dg.asset(key=layers.CANARY, deps=[layers.PREDICTIONS], partitions_def=LENDERS, group_name="serving", kinds={"python"})
def canary(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """The step of the lender's canary, beside the champion: it moves on to a larger share, moves back, or stays."""
    verdict = move_canary(Settings.from_environment(), context.partition_key, by="dagster")
    evidence = verdict.evidence
    return dg.MaterializeResult(
        metadata={
            "summary": f"{verdict.move}: {verdict.why}",
            "canary": verdict.canary.name,
            "checks": pages.table(
                ["check", "estimate", "at least", "at most", "limit"],
                [
                    [check.name, *(f"{value:+.4f}" for value in (check.estimate, check.low, check.high, check.limit))]
                    for check in evidence.checks
                ],
            ),
            "versions": pages.table(
                ["version", "answered", "failed", "mean ms", "mean probability"],
                [
                    [role, f"{arm.n:,}", f"{arm.n_failed:,}", f"{arm.latency.mean:.3f}", f"{arm.probability.mean:.4f}"]
                    for role, arm in (("champion", evidence.champion), ("canary", evidence.challenger))
                ],
            ),
            "since": f"{evidence.since:%Y-%m-%d %H:%M:%S} UTC",
        }
    )


@dg.asset(
    key=layers.CHAMPION_WATCH, deps=[layers.PREDICTIONS], partitions_def=LENDERS, group_name="serving", kinds={"python"}
)
def champion_watch(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """The lender's new champion beside the version before, to which service returns if the new one fails or is slow."""
    watch = go_back_if_worse(Settings.from_environment(), context.partition_key, by=AUTOMATION)
    if watch is None:
        return dg.MaterializeResult(metadata={"summary": "no new champion is watched"})
    counts = {"since promotion": watch.since_promotion, "version before": watch.before}
    return dg.MaterializeResult(
        metadata={
            "summary": f"{watch.move}: {watch.name}, {watch.why}",
            "answers": pages.table(
                ["", "asked for", "failed", "slow"],
                [
                    [name, f"{each.n_asked:,}", f"{each.n_failed:,}", f"{each.n_slow:,}"]
                    for name, each in counts.items()
                ],
            ),
        }
    )


@dg.asset(
    key=layers.APPROVED_VERSION,
    deps=[layers.REGISTERED_MODEL],
    partitions_def=LENDERS,
    group_name="serving",
    kinds={"python"},
)
def approved_version(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """The lender's version that a person approved over HTTP, served after its gates are checked again."""
    settings = Settings.from_environment()
    served = promote_approved(settings, context.partition_key)
    if served is None:
        return dg.MaterializeResult(metadata={"summary": "no approval waits to be followed"})
    return dg.MaterializeResult(
        metadata={
            "summary": f"{served.model_name} version {served.model_version}, approved by {served.published_by}",
            "bundle": dg.MetadataValue.path(served.bundle_directory(settings)),
        }
    )


@dg.asset(
    key=layers.DEPLOYMENT_CHANGES,
    deps=[layers.DEPLOYMENT, layers.APPROVED_VERSION, layers.CANARY, layers.CHAMPION_WATCH],
    group_name="serving",
    kinds={"duckdb"},
    pool=layers.LAKE_WRITER,
)
def deployment_changes(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """One row per deployment change (who, why, with which figures) and one per approval."""
    with lake_awaited(context):
        n_gained = record_changes(Settings.from_environment())
    return dg.MaterializeResult(metadata={"summary": f"{n_gained:,} changes and approvals recorded"})
