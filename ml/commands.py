"""Commands about models and decisions; what they need is imported when one of them runs."""

import getpass
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from warehouse.settings import Settings

if TYPE_CHECKING:
    from ml.decisions.replay import Replay
    from ml.registry.deployment import CanaryPlan, Deployment


_by = click.option("--by", default=getpass.getuser, help="Your name, if not the user of this machine; it is kept.")
_reason = click.option("--reason", required=True, help="Why; it is kept in the history of what was served.")


@click.command()
@click.argument("version", type=click.IntRange(1))
@_reason
@_by
@click.option("--source", help="Whose model; the active source if not given (LOANLAKE_SOURCE, or what is served).")
def promote(*, version: int, reason: str, by: str, source: str | None) -> None:
    """Serve VERSION of a source's model from now on, and make it MLflow's champion.

    A running API swaps it in within seconds, without dropping a request. A version that a gate refused is not served:
    the message says which gate and why.

    \b
        loanlake promote 3 --reason "Compared in shadow for two weeks, minutes 2026-11"
        loanlake promote 1 --source lending_club --reason "Goes live today"
    """
    from ml.registry.deployment import read_deployment
    from ml.rollout.promotion import promote as promote_version

    why, settings = _stated(reason), Settings.from_environment()
    before = read_deployment(settings)
    deployment = promote_version(settings, version, source=source, by=by, why=why)
    if deployment == before:
        click.echo(f"{_named(deployment)} is already served; nothing was changed or recorded")
        return
    _print_served(deployment)


@click.command()
@click.argument("version", type=click.IntRange(1))
@click.option("--reason", required=True, help="Why; it is kept with the approval.")
@_by
@click.option(
    "--serve/--no-serve", default=True, help="Serve immediately, or approve without serving.  [default: serve]"
)
@click.option("--override", "overrides", multiple=True, help="Gate whose refusal is overridden; repeatable.")
@click.option("--source", help="Whose model; the active source if not given (LOANLAKE_SOURCE, or what is served).")
def approve(*, version: int, reason: str, by: str, serve: bool, overrides: tuple[str, ...], source: str | None) -> None:
    """Approve VERSION of a source's model, and serve it from now on, or with --no-serve leave that to a canary.

    With LOANLAKE_APPROVAL=required a version that passed its gates waits for this before it answers anybody. A gate can
    be overridden by name, with the reason kept; parity and leakage never.

    \b
        loanlake approve 8 --reason "Reviewed with the committee, minutes 2026-11"
        loanlake approve 8 --no-serve --reason "May be tried on applicants"
        loanlake approve 9 --override brier_beats_base_rate --reason "Test months hold the shock"
    """
    from ml.registry.approval import approve as approve_version
    from ml.registry.deployment import read_deployment
    from ml.rollout.promotion import promote as promote_version

    settings = Settings.from_environment()
    approved = approve_version(settings, version, source=source, reason=reason, overrides=overrides, serve=serve, by=by)
    if not serve:
        click.echo(
            f"approved {approved.model_name} version {version}, and served nothing: `loanlake challenge {version} "
            f"--canary --reason …` rolls it out, `loanlake promote {version} --reason …` serves it immediately"
        )
        return
    before = read_deployment(settings)
    deployment = promote_version(settings, version, source=approved.source, by=by, why=approved.why)
    if deployment == before:
        click.echo(f"{_named(deployment)} is already served; nothing was changed but that your approval is recorded")
        return
    _print_served(deployment)


@click.command()
@click.argument("version", type=click.IntRange(1), required=False)
@click.option("--shadow", is_flag=True, help="Score every application with it off the answer path; nobody is told.")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Let it answer this share of the applicants, always the same ones.",
)
@click.option("--canary", is_flag=True, help="Let it answer a share that grows by what it shows: `loanlake canary`.")
@click.option("--steps", help="Shares of a canary in percent, then all as champion.  [default: 10,25,50]")
@click.option("--dwell", type=click.FloatRange(0), help="Minutes a canary stays on each step.  [default: 60]")
@click.option("--decisions", type=click.IntRange(100), help="Decisions of each version a step needs.  [default: 300]")
@click.option("--end", is_flag=True, help="Let the champion answer alone again.")
@_reason
@_by
def challenge(  # its options
    *,
    version: int | None,
    shadow: bool,
    share: float | None,
    canary: bool,
    steps: str | None,
    dwell: float | None,
    decisions: int | None,
    end: bool,
    reason: str,
    by: str,
) -> None:
    """Try VERSION of the served model beside the champion: in shadow, or with a share of the applicants.

    A running API takes it up within seconds, without dropping a request. `loanlake promote VERSION` makes it the
    champion; a promotion or a rollback ends the challenge. A version that a gate refused is not tried.

    \b
        loanlake challenge 8 --shadow --reason "Features v3, to be compared"
        loanlake challenge 8 --share 0.1 --reason "Minutes 2026-11"
        loanlake challenge 8 --canary --steps 10,25,50 --dwell 60 --reason "Minutes 2026-11"
        loanlake challenge --end --reason "Declines too many"
    """
    from ml.rollout.challenge import challenge as start
    from ml.rollout.challenge import end_challenge, needed_by_challenger

    settings = Settings.from_environment()
    if (version is not None, shadow + (share is not None) + canary, end) not in ((True, 1, False), (False, 0, True)):
        raise click.UsageError("give a VERSION with one of --shadow, --share and --canary, or --end alone")
    if not canary and (steps, dwell, decisions) != (None, None, None):
        raise click.UsageError("--steps, --dwell and --decisions are a canary's: give --canary too")
    why = _stated(reason)
    if end or version is None:
        _print_served(end_challenge(settings, by=by, why=why))
        return
    plan = _canary_plan(steps, dwell, decisions) if canary else None
    deployment = start(settings, version, share=share, plan=plan, by=by, why=why)
    _print_served(deployment)
    needed = ", ".join(needed_by_challenger(settings, deployment))
    if needed and shadow:
        click.echo(f"requests without {needed}, which version {version} needs, are not scored in shadow")
    elif needed:
        click.echo(f"every request must now give {needed}, which version {version} needs")


def _canary_plan(steps: str | None, dwell: float | None, decisions: int | None) -> "CanaryPlan":
    from ml.registry.deployment import CanaryPlan

    given: dict[str, Any] = {"dwell_minutes": dwell, "min_decisions": decisions}
    if steps is not None:
        try:
            shares = [float(step) / 100 for step in steps.split(",")]
        except ValueError:
            raise click.UsageError(f"--steps must be percentages like 10,25,50: found {steps!r}") from None
        # the step to all is the promotion that follows the last share
        given["steps"] = tuple(shares[:-1] if shares[-1] == 1 else shares)
    return CanaryPlan(**{name: value for name, value in given.items() if value is not None})


@click.command()
@click.option("--move", is_flag=True, help="Do what the step calls for, as Dagster's sensor does by itself.")
@_by
def canary(*, move: bool, by: str) -> None:
    """Show what the running canary's step says: each check against the champion, and whether it goes on, back or waits.

    The bounds hold however often they are looked at. `loanlake challenge --end` takes the canary back at any time.
    """
    from ml.rollout.canary import judge_canary, move_canary

    settings = Settings.from_environment()
    verdict = move_canary(settings, by=by) if move else judge_canary(settings)
    click.echo(f"{verdict.canary.name}, since {verdict.evidence.since:%Y-%m-%d %H:%M:%S} UTC")
    for role, arm in (("champion", verdict.evidence.champion), ("canary", verdict.evidence.challenger)):
        click.echo(
            f"  {role:<17} {arm.n:>9,} answered {arm.n_failed:>7,} failed  {arm.latency.mean:8.3f} ms"
            f"  mean probability {arm.probability.mean:.4f}"
        )
    for check in verdict.evidence.checks:
        state = "worse" if check.is_broken else "kept" if check.is_kept else "open"
        click.echo(
            f"  {check.name:<17} {check.estimate:+9.4f}  {check.low:+.4f} to {check.high:+.4f}, "
            f"limit {check.limit:g}: {state}"
        )
    click.echo(f"{verdict.move}: {verdict.why}")


@click.command()
@_reason
@_by
def rollback(*, reason: str, by: str) -> None:
    """Serve again what was served before, its features with it; once more goes back one more.

    \b
        loanlake rollback --reason "Declines twice as many since this morning"
    """
    from ml.rollout.promotion import rollback as roll_back

    _print_served(roll_back(Settings.from_environment(), by=by, why=_stated(reason)))


@click.command()
@click.argument("version", type=click.IntRange(1))
@click.option("--source", help="Whose model; the active source if not given (LOANLAKE_SOURCE, or what is served).")
@click.option("--undo", is_flag=True, help="Take an archived version back: it can be served again.")
def archive(*, version: int, source: str | None, undo: bool) -> None:
    """Archive VERSION of a source's model: it is not promoted or rolled back to any more.

    `loanlake maintain` may then expire the lake snapshot it was trained on. Its decisions can still be replayed.
    """
    from ml.rollout.promotion import archive as archive_version

    name = archive_version(Settings.from_environment(), version, source=source, undo=undo)
    if undo:
        click.echo(f"{name} version {version} is archived no more: its gates and approvals decide again")
        return
    click.echo(f"archived {name} version {version}: `loanlake maintain` no longer keeps its training rows")


@click.command()
@click.argument("decision_id")
def replay(*, decision_id: str) -> None:
    """Make a logged decision again from its inputs and its model's bundle, and compare the two to the bit.

    Works on online and batch decisions, from the API's log before they reach the lake or from the lake. Exit code 0
    when they are equal, 1 when anything differs.
    """
    from ml.decisions.replay import replay as replay_logged

    found = replay_logged(Settings.from_environment(), decision_id)
    click.echo("\n".join(_report(found)))
    if not found.equal:
        sys.exit(1)


@click.command()
@click.argument("decision_id")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--full", is_flag=True, help="Every feature with its SQL, every input, and the rows themselves.")
def lineage(*, decision_id: str, form: str, full: bool) -> None:
    """Show what a logged decision came from: its reasons, rows of which tables, and lines of which files.

    Works on online and batch decisions. Rows are those known before the decision, at the lake snapshot it names while
    that is kept. With --full, and as JSON, every step carries the SQL that reads it again.
    """
    from ml.decisions.lineage import trace_decision

    found = trace_decision(Settings.from_environment(), decision_id)
    if form == "json":
        click.echo(json.dumps(found.to_dict(), indent=1, ensure_ascii=False))
        return
    from ml.decisions.lineage_text import lineage_summary, lineage_text

    if not full:
        click.echo(lineage_summary(found))
        return
    from rich.console import Console

    Console(soft_wrap=False, width=None if sys.stdout.isatty() else 160).print(lineage_text(found))


@click.command("training-set")
@click.argument("version", type=click.IntRange(1))
@click.option("--source", help="Whose model; the active source if not given (LOANLAKE_SOURCE, or what is served).")
@click.option(
    "--to", type=click.Path(dir_okay=False, path_type=Path), help="Write the rows: FILE.parquet, FILE.csv or FILE.json."
)
def training_set(*, version: int, source: str | None, to: Path | None) -> None:
    """Read again the exact rows that trained VERSION of a source's model, and prove it by the hash in its lineage.

    Late rows, restatements and rebuilds since then change nothing: the rows come from the lake snapshot that the model
    names. Without --to the rows are only read and checked. Exit code 1, both hashes and no file where they differ.
    Where persons were erased since, it says so: the rows that are left are read, and no hash can prove them.

    \b
        loanlake training-set 3
        loanlake training-set 1 --source lending_club --to rows.parquet
    """
    from ml.registry.training_set_export import export_training_set

    found = export_training_set(Settings.from_environment(), version, source=source, to=to)
    splits = ", ".join(f"{name} {n:,}" for name, n in found.rows_by_split.items())
    click.echo(f"{found.model_name} version {version} was trained and judged on {found.n_trained:,} rows ({splits})")
    if found.is_erased:
        click.echo(
            f"rows of persons were erased since: {found.n_rows:,} of {found.n_trained:,} are left, some of "
            "them perhaps under pseudonyms, so the hash in its lineage proves nothing any more"
        )
    else:
        click.echo(f"lake snapshot {found.snapshot}, SHA-256 {found.sha256}: equal to the lineage")
    click.echo(f"written to {found.path}" if found.path else found.statement)


def _stated(reason: str) -> str:
    if not reason.strip():
        raise click.UsageError("--reason must say why: found a blank text")
    return reason.strip()


def _named(deployment: "Deployment") -> str:
    return f"{deployment.model_name} version {deployment.model_version}"


def _print_served(deployment: "Deployment") -> None:
    click.echo(
        f"serving {_named(deployment)} "
        f"(features {deployment.feature_version}), published {deployment.published_at} by {deployment.published_by}"
    )
    if deployment.challenger:
        click.echo(f"challenged by {deployment.challenger.name}")
    if deployment.previous:
        before = deployment.previous
        click.echo(f"`loanlake rollback` goes back to {before.model_name} version {before.model_version}")


def _report(found: "Replay") -> list[str]:
    decision, recomputed = found.decision, found.recomputed
    differing = {difference.what: difference for difference in found.differences}
    n_features = len(recomputed.features)
    n_equal = n_features - sum(what.startswith("features.") for what in differing)
    lines = [
        f"decision {decision.decision_id}: application {decision.application_id} of {decision.source}, "
        f"decided {decision.decided_at:%Y-%m-%d %H:%M:%S} UTC, {decision.route}",
        f"made by {decision.model_name} version {decision.model_version}, features {decision.feature_version}",
        "",
        f"  features     {n_equal} of {n_features} equal",
    ]
    for what, logged in (
        ("raw_score", repr(decision.raw_score)),
        ("probability", repr(decision.probability)),
        ("band", decision.band),
        ("decision", decision.decision),
        ("reasons", ", ".join(reason.feature for reason in recomputed.reasons) or "none owed"),
    ):
        lines.append(f"  {what:<12} {'differs' if what in differing else f'{logged} equal'}")
    lines += ["", *(f"  {each.what}: logged {each.logged!r}, now {each.recomputed!r}" for each in found.differences)]
    lines.append("equal to the bit" if found.equal else f"DIFFERENT in {', '.join(differing)}")
    return lines
