"""A new champion that fails or is slow makes way for the version before, once; one that is not stays."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ml.registry.deployment import read_deployment, read_history
from ml.registry.deployment_changes import record_changes
from ml.rollout.after_promotion import Watch, go_back_if_worse, watch_champion
from ml.rollout.promotion import publish, rollback
from tests.model_factory import MODEL_NAME, SOURCE, publish_model, register_model, shared_bundle
from warehouse.errors import NotFoundError
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings

pytestmark = pytest.mark.usefixtures("aliases")


@pytest.fixture
def promoted(home: Settings) -> Settings:
    """Version 2 was promoted over version 1."""
    publish_model(home, version=1)
    publish(home, register_model(home, shared_bundle(seed=8), version=2), by="someone")
    return home


def answered(
    home: Settings,
    version: int,
    *,
    minutes: int,
    n: int = 300,
    failed: int = 0,
    slow: int = 0,
    role: str = "champion",
    source: str = SOURCE,
) -> None:
    """Applications of a version that came into the lake so many minutes after its promotion."""
    at = datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=minutes)
    owner: list[object] = [source, MODEL_NAME, version, role, at]
    with writer("test", home) as con:
        con.execute(
            "insert into serving.predictions by name select $1 as source, $2 as model_name, $3 as model_version, "
            "$4 as role, 'online' as route, case when i < $7 then 900.0 else 2.0 end as latency_ms, "
            "$5::timestamp as ingested_at from range($6) as rows(i)",
            [*owner, n - failed, slow],
        )
        con.execute(
            "insert into serving.scoring_failures by name select $1 as source, $2 as model_name, $3 as model_version, "
            "$4 as role, 'ValueError' as reason, $5::timestamp as ingested_at from range($6)",
            [*owner, failed],
        )


def served(home: Settings) -> int:
    deployment = read_deployment(home, SOURCE)
    assert deployment is not None
    return deployment.model_version


def judged(home: Settings) -> Watch:
    watch = watch_champion(home, SOURCE)
    assert watch is not None
    return watch


def test_the_failures_of_another_lender_move_nothing(promoted: Settings) -> None:
    """Two lenders may have versions of the same number, even of one name."""
    answered(promoted, 1, minutes=-5)
    answered(promoted, 2, minutes=1)
    answered(promoted, 2, minutes=1, failed=200, source="other")

    watch = go_back_if_worse(promoted, SOURCE, by="dagster")

    assert watch is not None
    assert (watch.move == "back", served(promoted)) == (False, 2)


@pytest.mark.parametrize(
    ("counts", "word"), [({"failed": 60}, "errors +0.200"), ({"slow": 60}, "answers above 500 ms")]
)
def test_one_that_fails_or_is_slow_makes_way_for_the_version_before(
    promoted: Settings, counts: Mapping[str, int], word: str
) -> None:
    answered(promoted, 1, minutes=-5)
    answered(promoted, 2, minutes=1, **counts)

    watch = go_back_if_worse(promoted, SOURCE, by="dagster")

    change = read_history(promoted, SOURCE)[-1]
    assert watch is not None
    assert (watch.move, served(promoted)) == ("back", 1)
    assert (change.action, change.by, change.why) == ("rollback", "dagster", watch.why)
    assert word in change.why
    assert change.figures["left_version"] == 2
    record_changes(promoted)
    with connect(promoted) as con:
        [recorded] = con.execute(
            "select action, champion_version, json_extract_string(figures, '$.left_version') "
            "from serving.deployment_changes order by change desc limit 1"
        ).fetchall()
    assert recorded == ("rollback", 1, "2")


@pytest.mark.parametrize("counts", [{}, {"failed": 10}, {"n": 90, "failed": 80}, {"failed": 60, "role": "challenger"}])
def test_one_that_is_no_worse_or_has_too_few_decisions_stays(promoted: Settings, counts: Mapping[str, Any]) -> None:
    """3 % are within the limit; of fewer than 100 applications nothing is concluded."""
    answered(promoted, 1, minutes=-5)
    answered(promoted, 2, minutes=1, **counts)

    watch = go_back_if_worse(promoted, SOURCE, by="dagster")

    assert watch is not None
    assert (watch.move, served(promoted)) == ("wait", 2)


def test_what_the_version_before_could_not_do_either_is_not_held_against_it(promoted: Settings) -> None:
    """A caller sends what no version can score, or the machine is slow."""
    answered(promoted, 1, minutes=-5, n=1000, failed=200, slow=200)
    answered(promoted, 2, minutes=1, n=1000, failed=200, slow=200)

    assert judged(promoted).move == "wait"


def test_it_never_goes_back_and_forth(promoted: Settings) -> None:
    """Neither is the version before left in turn, nor the new one again, once a person has promoted it again."""
    answered(promoted, 2, minutes=1, failed=300)
    go_back_if_worse(promoted, SOURCE, by="dagster")
    answered(promoted, 1, minutes=2, failed=300)

    of_the_version_before = go_back_if_worse(promoted, SOURCE, by="dagster")
    publish(promoted, register_model(promoted, shared_bundle(seed=8), version=2), by="a person")
    answered(promoted, 2, minutes=3, failed=300)
    again = go_back_if_worse(promoted, SOURCE, by="dagster")

    assert (of_the_version_before, again) == (None, None)
    assert served(promoted) == 2


def test_it_is_watched_for_as_long_as_the_setting_says(promoted: Settings) -> None:
    answered(promoted, 2, minutes=1, failed=300)
    now = datetime.now(UTC)

    assert judged(promoted).move == "back"
    assert watch_champion(promoted, SOURCE, at=now + timedelta(minutes=61)) is None
    assert watch_champion(replace(promoted, rollback_minutes=None), SOURCE) is None


def test_a_first_version_has_nothing_to_go_back_to(home: Settings) -> None:
    publish_model(home, version=1)
    answered(home, 1, minutes=1, failed=300)

    assert watch_champion(home, SOURCE) is None


def test_a_person_who_changes_it_meanwhile_has_the_last_word(promoted: Settings) -> None:
    watch = judged(promoted)
    publish(promoted, register_model(promoted, shared_bundle(seed=9), version=3), by="a person")

    with pytest.raises(NotFoundError, match=r"version 2 was judged, and version 3.* nothing was rolled back"):
        rollback(promoted, SOURCE, by="dagster", why="it failed", judged=watch.deployment)

    assert served(promoted) == 3
