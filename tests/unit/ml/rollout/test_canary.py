"""A canary goes on only where its step shows that it is no worse, back where it shows that it is, and else waits."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ml.registry.deployment import CanaryPlan, read_deployment, read_history
from ml.registry.deployment_changes import record_changes
from ml.registry.registered_version import get_version
from ml.rollout import canary as canary_module
from ml.rollout.canary import judge_canary, move_canary
from ml.rollout.canary_evidence import Arm, Moments, weigh
from ml.rollout.challenge import end_challenge, start_challenge
from ml.rollout.promotion import publish
from tests.model_factory import MODEL_NAME, SOURCE, publish_model, register_model, shared_bundle
from warehouse.errors import NotFoundError, SettingError
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings

pytestmark = pytest.mark.usefixtures("aliases")

PLAN = CanaryPlan(steps=(0.1, 0.5), dwell_minutes=60, min_decisions=300)
#: How the made-up decisions differ: the arm's own values as SQL of ``u``, uniform in (0, 1) and of ``n``.
SAME = {"probability": "u * u", "latency_ms": "0.05 + u * 0.1"}


def start(home: Settings, plan: CanaryPlan = PLAN) -> None:
    publish_model(home, version=1)
    start_challenge(
        home,
        register_model(home, shared_bundle(seed=8), version=2),
        against=read_deployment(home, SOURCE),
        share=None,
        plan=plan,
        by="someone",
    )


def answer(home: Settings, *, n: int = 3000, failed: int = 0, minutes: int = 1, **challengers: str) -> None:
    """Decisions of the champion and, as many, of the challenger, ingested in a minute; and the latter's failures."""
    ingested_at = datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=minutes)
    with writer("test", home) as con:
        for version, role, values in ((1, "champion", SAME), (2, "challenger", SAME | challengers)):
            con.execute(
                "insert into serving.predictions by name "
                f"select '{role}-' || n as decision_id, ? as source, ? as model_name, {version} as model_version, "
                f"'{role}' as role, 'online' as route, {values['probability']} as probability, "
                f"{values['latency_ms']} as latency_ms, ?::timestamp as ingested_at "
                f"from (select n, hash(n, '{role}') % 100000 / 1e5 as u from range({n}) as t(n))",
                [SOURCE, MODEL_NAME, ingested_at],
            )
        con.execute(
            "insert into serving.scoring_failures by name select 'f-' || n as failure_id, ? as source, "
            "? as model_name, 2 as model_version, 'challenger' as role, ?::timestamp as ingested_at "
            f"from range({failed}) as t(n)",
            [SOURCE, MODEL_NAME, ingested_at],
        )


def after_dwell() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=PLAN.dwell_minutes + 1)


def test_one_that_is_no_worse_goes_on_to_the_next_share(home):
    start(home, CanaryPlan(steps=(0.1, 0.5), dwell_minutes=0))
    answer(home)

    verdict = move_canary(home, SOURCE, by="dagster")

    challenger = read_deployment(home, SOURCE).challenger
    assert verdict.move == "on"
    assert [check.name for check in verdict.evidence.checks] == ["errors", "latency", "score PSI", "mean probability"]
    assert (challenger.mode, challenger.share) == ("canary", 0.5)
    assert challenger.step_began_at > verdict.canary.step_began_at


def test_a_new_step_is_judged_by_its_own_requests(home):
    start(home, CanaryPlan(steps=(0.1, 0.5), dwell_minutes=0))
    answer(home, minutes=-1)

    verdict = judge_canary(home, SOURCE)

    assert verdict.move == "wait"
    assert verdict.why == (
        "too few requests: 0 to the champion and 0 to the canary are in the lake since the step began; "
        "300 each are needed, half of them answered"
    )


def test_after_its_last_step_it_is_promoted(home, monkeypatch):
    """Through the same door as a person's promotion; MLflow's part is in tests/integration/test_registry.py."""
    promoted = []
    monkeypatch.setattr(canary_module, "promote", lambda _, version, **by: promoted.append((version, by)))
    start(home, CanaryPlan(steps=(0.5,), dwell_minutes=0))
    answer(home)

    move_canary(home, SOURCE, by="dagster")

    [(version, by)] = promoted
    assert (version, by["source"], by["by"]) == (2, SOURCE, "dagster")
    assert by["why"].startswith("no worse than it may be, by 3,000 and 3,000 requests")
    assert by["figures"]["challenger"]["n"] == 3000


@pytest.mark.parametrize(("failed", "move"), [(0, "on"), (400, "back")])
def test_a_person_who_ends_it_while_it_is_moved_has_the_last_word(home, monkeypatch, failed, move):
    """A promotion takes seconds before it is served: one went through although the trial had been ended meanwhile."""

    def promote_slowly(settings, version, *, source, **what):
        end_challenge(settings, SOURCE, by="a person")
        publish(settings, get_version(settings, source, version), **what)

    def end_slowly(settings, lender, **what):
        end_challenge(settings, SOURCE, by="a person")
        third = register_model(home, shared_bundle(seed=9), version=3)
        start_challenge(home, third, against=read_deployment(home, SOURCE), share=0.1, by="a person")
        end_challenge(settings, lender, **what)

    monkeypatch.setattr(canary_module, "promote", promote_slowly)
    monkeypatch.setattr(canary_module, "end_challenge", end_slowly)
    start(home, CanaryPlan(steps=(0.5,), dwell_minutes=0))
    answer(home, failed=failed)

    with pytest.raises(NotFoundError, match=r"version 2, answering 50 % .* changed while it was judged: .* runs now"):
        move_canary(home, SOURCE, by="dagster")

    served = read_deployment(home, SOURCE)
    assert served.model_version == 1
    assert (served.challenger and served.challenger.deployment.model_version) == (None if move == "on" else 3)


@pytest.mark.parametrize(
    ("worse", "named"),
    [
        ({"latency_ms": "1.5 * (0.05 + u * 0.1)"}, "latency"),
        ({"failed": 400}, "errors"),
        ({"probability": "u * u * 1.4"}, "mean probability"),
        ({"probability": "case when u < 0.5 then 0.0 else 0.667 end"}, "score PSI"),
    ],
)
def test_one_that_is_worse_in_any_respect_goes_back_though_its_step_is_not_over(home, worse, named):
    start(home)
    answer(home, **worse)

    verdict = move_canary(home, SOURCE, by="dagster")

    assert verdict.move == "back"
    assert named in verdict.why
    assert read_deployment(home, SOURCE).challenger is None
    assert read_deployment(home, SOURCE).model_version == 1


def test_one_that_fails_on_everything_goes_back(home):
    start(home)
    answer(home)
    with writer("test", home) as con:
        con.execute("delete from serving.predictions where role = 'challenger'")
    answer(home, n=0, failed=400)

    assert judge_canary(home, SOURCE).move == "back"


def test_one_that_fails_on_most_as_the_champion_does_has_shown_nothing(home):
    """Neither worse nor better at failing; what they answered is too little to compare by."""
    start(home, CanaryPlan(steps=(0.1, 0.5), dwell_minutes=0))
    answer(home, n=20, failed=600)
    with writer("test", home) as con:
        con.execute(
            "insert into serving.scoring_failures by name select * replace ('champion' as role, 1 as model_version) "
            "from serving.scoring_failures"
        )

    verdict = judge_canary(home, SOURCE)

    assert [check.name for check in verdict.evidence.checks] == ["errors"]
    assert verdict.evidence.checks[0].is_kept
    assert verdict.move == "wait"


def test_a_lake_that_lacks_the_newer_tables_has_shown_nothing(home):
    start(home)
    answer(home)
    with writer("test", home) as con:
        con.execute("drop table serving.scoring_failures")

    assert judge_canary(home, SOURCE).move == "wait"


def test_a_step_lasts_its_time(home):
    start(home)
    answer(home)

    early, later = judge_canary(home, SOURCE), judge_canary(home, SOURCE, at=after_dwell())

    assert (early.move, later.move) == ("wait", "on")
    assert early.why.startswith("all is well; the step lasts ")


def test_what_is_not_settled_waits_however_long(home):
    """Slower by nearly what is allowed: neither beyond doubt worse, nor beyond doubt not."""
    start(home)
    answer(home, latency_ms="1.19 * (0.05 + u * 0.1)")

    verdict = judge_canary(home, SOURCE, at=after_dwell())

    assert verdict.move == "wait"
    assert verdict.why.startswith("not settled yet: latency +0.1")


def test_every_move_is_a_row_with_who_why_and_the_figures(home):
    start(home, CanaryPlan(steps=(0.1, 0.5), dwell_minutes=0))
    answer(home, failed=2)
    move_canary(home, SOURCE, by="dagster")

    assert (record_changes(home), record_changes(home)) == (3, 0)
    with connect(home) as con:
        rows = con.execute(
            "select action, changed_by, champion_version, challenger_version, mode, share, why <> '', "
            "json_extract(figures, '$.challenger.n_failed')::int from serving.deployment_changes order by change"
        ).fetchall()
    assert rows == [
        ("publish", "tests", 1, None, None, None, False, None),
        ("challenge", "someone", 1, 2, "canary", 0.1, False, None),
        ("advance", "dagster", 1, 2, "canary", 0.5, True, 2),
    ]
    assert [change.action for change in read_history(home, SOURCE)] == ["publish", "challenge", "advance"]


def test_asking_for_the_canary_that_runs_does_not_begin_it_again(home):
    start(home)
    running = read_deployment(home, SOURCE).challenger

    second = get_version(home, SOURCE, 2)
    start_challenge(home, second, against=read_deployment(home, SOURCE), share=None, plan=PLAN, by="other")

    assert read_deployment(home, SOURCE).challenger == running


def test_without_a_canary_there_is_nothing_to_judge(home):
    publish_model(home, version=1)

    with pytest.raises(NotFoundError, match="no canary of simulated is running: `loanlake canary start VERSION`"):
        judge_canary(home, SOURCE)


@pytest.mark.parametrize("plan", [{"steps": ()}, {"steps": (0.5, 0.1)}, {"steps": (0.5, 1.0)}, {"min_decisions": 10}])
def test_a_plan_that_leads_nowhere_is_refused(plan):
    with pytest.raises(SettingError):
        CanaryPlan(**plan)


def test_looking_after_every_hundred_decisions_sends_a_good_one_back_in_less_than_a_twentieth_of_the_cases():
    rng, n_back = np.random.default_rng(3), 0
    for _ in range(150):
        scores, waits = rng.beta(1.5, 8, size=(2, 4000)), rng.lognormal(-2.5, 0.5, size=(2, 4000))
        failed = rng.random((2, 4000)) < 0.02
        n_back += any(
            any(check.is_broken for check in weigh(datetime.now(UTC), *arms(scores, waits, failed, n), PLAN).checks)
            for n in range(300, 4001, 100)
        )

    assert n_back / 150 <= 0.05


def arms(scores: np.ndarray, waits: np.ndarray, failed: np.ndarray, n: int) -> list[Arm]:
    cuts = np.quantile(scores[0, :n], np.arange(0.1, 1.0, 0.1), method="inverted_cdf")
    return [
        Arm(
            n=n,
            n_failed=int(failed[which, :n].sum()),
            latency=Moments(waits[which, :n].mean(), waits[which, :n].var(ddof=1)),
            probability=Moments(scores[which, :n].mean(), scores[which, :n].var(ddof=1)),
            bins=tuple(np.bincount(np.searchsorted(cuts, scores[which, :n]), minlength=10)),
        )
        for which in (0, 1)
    ]
