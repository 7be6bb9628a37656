"""Commands about models and decisions; each imports what it needs when it runs."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from warehouse.cli import options
from warehouse.errors import NotFoundError
from warehouse.settings import Settings

if TYPE_CHECKING:
    from ml.decisions.replay import Replay
    from ml.registry.deployment import CanaryPlan, Deployment
    from ml.rollout.canary import Verdict


@click.command()
@options.version
@options.reason
@options.by
@options.lender
def promote(*, version: int, reason: str, by: str, lender: str) -> None:
    """Serve VERSION from now on, and make it MLflow's champion.

    A running API swaps it in within seconds and drops no request. A version that a gate refused is not served: the
    message names the gate and the reason.

    \b
        loanlake model promote 3 --reason "Compared in shadow for two weeks, minutes 2026-11"
        loanlake model promote 1 --lender lending_club --reason "Goes live today"
    """
    _promote(version, lender, by=by, why=reason, unchanged="nothing was changed or recorded")


@click.command()
@options.version
@options.reason
@options.by
@click.option(
    "--serve/--no-serve", default=True, help="Serve immediately, or approve without serving.  [default: serve]"
)
@click.option("--override", "overrides", multiple=True, help="Gate whose refusal is overridden; repeatable.")
@options.lender
def approve(*, version: int, reason: str, by: str, serve: bool, overrides: tuple[str, ...], lender: str) -> None:
    """Approve VERSION, and serve it unless --no-serve is given.

    With LOANLAKE_APPROVAL=required a version that passed its gates waits for an approval before it is served. An
    approval can override a gate by name; the reason is recorded. Parity and leakage cannot be overridden.

    \b
        loanlake model approve 8 --reason "Reviewed with the committee, minutes 2026-11"
        loanlake model approve 8 --no-serve --reason "May be tried on applicants"
        loanlake model approve 9 --override brier_beats_base_rate --reason "Test months hold the shock"
    """
    from ml.registry.approval import approve as approve_version

    settings = Settings.from_environment()
    approved = approve_version(settings, version, source=lender, reason=reason, overrides=overrides, serve=serve, by=by)
    if not serve:
        click.echo(
            f"approved {approved.model_name} version {version}, and served nothing: `loanlake canary start {version} "
            f"--lender {approved.source} --reason …` rolls it out, `loanlake model promote {version} --lender "
            f"{approved.source} --reason …` serves it immediately"
        )
        return
    unchanged = "nothing was changed but that your approval is recorded"
    _promote(version, approved.source, by=by, why=approved.why, unchanged=unchanged)


@click.command()
@options.reason
@options.by
@options.lender
def rollback(*, reason: str, by: str, lender: str) -> None:
    """Serve again what was served before, with its features.

    A second rollback goes back one deployment more. Other lenders' models stay.

    \b
        loanlake model rollback --reason "Declines twice as many since this morning"
    """
    from ml.rollout.promotion import rollback as roll_back

    _print_served(roll_back(Settings.from_environment(), lender, by=by, why=reason))


@click.command()
@options.version
@options.lender
def archive(*, version: int, lender: str) -> None:
    """Archive VERSION: it can no longer be served.

    `loanlake data maintain` may then expire the lake snapshot that it was trained on. Its decisions can still be
    replayed. `loanlake model unarchive VERSION` takes it back.
    """
    from ml.rollout.promotion import archive as archive_version

    name = archive_version(Settings.from_environment(), version, source=lender)
    click.echo(f"archived {name} version {version}: `loanlake data maintain` no longer keeps its training rows")


@click.command()
@options.version
@options.lender
def unarchive(*, version: int, lender: str) -> None:
    """Take an archived VERSION back: it can be served again."""
    from ml.rollout.promotion import archive as archive_version

    name = archive_version(Settings.from_environment(), version, source=lender, undo=True)
    click.echo(f"{name} version {version} is archived no more: its gates and approvals decide again")


@click.command()
@options.version
@options.lender
@click.option(
    "--to", type=click.Path(dir_okay=False, path_type=Path), help="Write the rows: FILE.parquet, FILE.csv or FILE.json."
)
def training_set(*, version: int, lender: str, to: Path | None) -> None:
    """Read the rows that trained VERSION; their hash proves them.

    The rows come from the lake snapshot that the model names: late rows, restatements and rebuilds since then change
    nothing. Without --to the rows are only read and checked. Exit code 1: the hash differs; both hashes are printed and
    no file is written. If persons were erased since, the rows that are left are read, and no hash can prove them.

    \b
        loanlake model training-set 3
        loanlake model training-set 1 --lender lending_club --to rows.parquet
    """
    from ml.registry.training_set_export import export_training_set

    found = export_training_set(Settings.from_environment(), version, source=lender, to=to)
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


@click.command()
@options.version
@click.option("--shadow", is_flag=True, help="Score every application off the answer path; callers do not see it.")
@click.option(
    "--share",
    type=options.Number(0, 1, min_open=True, max_open=True),
    help="Let it answer this share of the applicants, always the same ones.",
)
@options.reason
@options.by
@options.lender
def start_challenge(*, version: int, shadow: bool, share: float | None, reason: str, by: str, lender: str) -> None:
    """Try VERSION in shadow, or on a fixed share of the applicants.

    A running API follows within seconds and drops no request. `loanlake model promote VERSION` makes it the champion; a
    promotion or a rollback ends the challenge. A version that a gate refused is not tried.

    \b
        loanlake challenge start 8 --shadow --reason "Features v3, to be compared"
        loanlake challenge start 8 --share 0.1 --reason "Minutes 2026-11"
    """
    if shadow is (share is not None):
        raise click.UsageError("give either --shadow or --share")
    _start(version, lender, share=share, plan=None, reason=reason, by=by)


@click.command()
@options.reason
@options.by
@options.lender
def end_challenge(*, reason: str, by: str, lender: str) -> None:
    """End the challenge or canary: the champion answers alone.

    \b
        loanlake challenge end --reason "Declines too many"
    """
    from ml.rollout.challenge import end_challenge as end

    _print_served(end(Settings.from_environment(), lender, by=by, why=reason))


@click.command()
@options.lender
def show_challenge(lender: str) -> None:
    """Show the version on trial, and since when."""
    from ml.registry.deployment import read_deployment

    served = read_deployment(Settings.from_environment(), lender)
    if served is None or served.challenger is None:
        raise NotFoundError(
            f"no version of {lender} is on trial: `loanlake challenge start VERSION` starts a challenge"
        )
    on_trial = served.challenger.deployment
    click.echo(f"{_named(served)} is challenged by {served.challenger.name}")
    click.echo(f"started {on_trial.published_at} by {on_trial.published_by}")


@click.command()
@options.version
@click.option("--steps", help="Shares of the applicants in percent, before all.  [default: 10,25,50]")
@click.option("--dwell", type=options.Number(0), help="Minutes on each step, at least.  [default: 60]")
@click.option("--decisions", type=click.IntRange(100), help="Decisions of each version on a step.  [default: 300]")
@options.reason
@options.by
@options.lender
def start_canary(*, version: int, reason: str, by: str, lender: str, **plan: Any) -> None:
    """Let VERSION answer a growing share of the applicants.

    Each step is compared with the champion; a version that is worse is taken back. After the last step it becomes the
    champion. `loanlake challenge end` takes it back at any time.

    \b
        loanlake canary start 8 --reason "Minutes 2026-11"
        loanlake canary start 8 --steps 10,25,50 --dwell 60 --reason "Minutes 2026-11"
    """
    _start(version, lender, share=None, plan=_canary_plan(**plan), reason=reason, by=by)


@click.command()
@options.lender
def show_canary(lender: str) -> None:
    """Show the canary's step: each check against the champion.

    Says whether the canary goes on, goes back or waits. The bounds hold however often they are looked at.
    """
    from ml.rollout.canary import judge_canary

    _print_canary(judge_canary(Settings.from_environment(), lender))


@click.command()
@options.by
@options.lender
def move_canary(*, by: str, lender: str) -> None:
    """Move the canary on or back, as its checks say.

    Dagster's sensor does the same by itself.
    """
    from ml.rollout.canary import move_canary as move

    _print_canary(move(Settings.from_environment(), lender, by=by))


def _promote(version: int, lender: str, *, by: str, why: str, unchanged: str) -> None:
    from ml.registry.deployment import read_deployment
    from ml.rollout.promotion import promote as promote_version

    settings = Settings.from_environment()
    before = read_deployment(settings, lender)
    deployment = promote_version(settings, version, source=lender, by=by, why=why)
    if deployment == before:
        click.echo(f"{_named(deployment)} is already served; {unchanged}")
    else:
        _print_served(deployment)


def _print_canary(verdict: "Verdict") -> None:
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


def _start(version: int, lender: str, *, share: float | None, plan: "CanaryPlan | None", reason: str, by: str) -> None:
    from ml.rollout.challenge import challenge, needed_by_challenger

    settings = Settings.from_environment()
    deployment = challenge(settings, version, source=lender, share=share, plan=plan, by=by, why=reason)
    _print_served(deployment)
    needed = ", ".join(needed_by_challenger(settings, deployment))
    if needed and deployment.challenger is not None and deployment.challenger.mode == "shadow":
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
        # the last share, 1, is the promotion itself
        given["steps"] = tuple(shares[:-1] if shares[-1] == 1 else shares)
    return CanaryPlan(**{name: value for name, value in given.items() if value is not None})


@click.command()
@click.argument("decision_id")
def replay(*, decision_id: str) -> None:
    """Recompute a logged decision and compare the two to the bit.

    A score that a batch made may differ within the bound that the model's family states; the last line says so.

    Uses the decision's inputs and its model's bundle. Finds online and batch decisions, in the API's log or in the
    lake. Exit code 0: equal; 1: something differs.
    """
    from ml.decisions.replay import replay as replay_logged

    found = replay_logged(Settings.from_environment(), decision_id)
    click.echo("\n".join(_report(found)))
    if not found.equal:
        sys.exit(1)


@click.command()
@click.argument("decision_id")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--full", is_flag=True, help="Show every feature with its SQL, every input and the rows.")
def lineage(*, decision_id: str, form: str, full: bool) -> None:
    """Show the rows and files that a logged decision came from.

    Shows its reasons, the rows of each table and the lines of each file. Rows are those known before the decision, at
    the lake snapshot that it names, while that is kept. With --full, and as JSON, each step has the SQL that reads it.
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
        click.echo(
            f"`loanlake model rollback --lender {before.source}` goes back to {before.model_name} version "
            f"{before.model_version}"
        )


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
        f"  {'features':<16} {n_equal} of {n_features} equal",
    ]
    for what, logged in (
        ("raw_score", repr(decision.raw_score)),
        *((("points", str(decision.points)),) if decision.points is not None else ()),
        ("probability", repr(decision.probability)),
        ("probability_low", repr(decision.probability_low)),
        ("probability_high", repr(decision.probability_high)),
        ("band", decision.band),
        ("decision", decision.decision),
        ("reasons", ", ".join(reason.feature for reason in recomputed.reasons) or "none owed"),
    ):
        lines.append(f"  {what:<16} {'differs' if what in differing else f'{logged} equal'}")
    lines += ["", *(f"  {each.what}: logged {each.logged!r}, now {each.recomputed!r}" for each in found.differences)]
    lines.append(found.text)
    return lines
