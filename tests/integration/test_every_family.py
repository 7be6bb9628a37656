"""Every family is served equal: one score from every door, replays, its origin, erasure, shadow and canary.

The catalogue says which families there are; one whose library is not installed is skipped. Each has a home with one
lake, one bundle and one API, used by the tests in the order they are written in.
"""

import io
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml.batches.backfill import score_applications
from ml.batches.runs import run_batch
from ml.bundle import pyfunc_model, pyfunc_signature
from ml.bundle.bundle import Bundle, load_bundle
from ml.bundle.scorer import Scorer
from ml.decisions.freshness import HistoryPolicy
from ml.decisions.replay import replay
from ml.families.catalogue import FAMILIES
from ml.families.protocol import Family, Guarantees
from ml.families.single import missing_package
from ml.registry.bundle_erasure import erase_from_bundles
from ml.registry.deployment import CanaryPlan, read_deployment
from ml.rollout.challenge import start_challenge
from ml.training.fitting import TrainingSettings
from ml.training.training_set import read_training_set
from serving.app import create_app
from serving.options import ServingOptions
from serving.scoring.decision_ids import shadow_decision_id
from tests.model_factory import CONTRACT, SOURCE, filled_home, input_rows, publish_model, register_model, shared_bundle
from tests.serving_home import ServingHome, furnish
from warehouse import decision_log
from warehouse.batches import BatchFiles
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings

#: More than a block's least rows, so that tables and MLflow's model are scored by the form for blocks.
N_ROWS = 80
OPTIONS = ServingOptions(poll_seconds=0.05, history=HistoryPolicy(max_age=None))
CHAMPION, OTHER, TRIED = 1, 2, 3
#: Columns that a batch's results and a decision share.
SCORE = ["raw_score", "probability", "band", "decision", "points"]


@dataclass
class Served:
    """A home that serves a family as version 1, and its API; ``answers``: to ``bodies``, in their order."""

    family: type[Family]
    home: ServingHome
    client: TestClient[Litestar]
    bodies: list[dict[str, Any]] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return self.home.settings

    @cached_property
    def bundle(self) -> Bundle:
        deployment = read_deployment(self.settings, SOURCE)
        assert deployment is not None
        return load_bundle(deployment.bundle_directory(self.settings))

    def score(self, body: dict[str, Any]) -> dict[str, Any]:
        response = self.client.post("/v1/scores", json=body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    @cached_property
    def online(self) -> pd.DataFrame:
        """The logged decisions on ``bodies``, with their typed features."""
        for body in self.bodies:
            self.score(body)
        decision_log.ingest_into_lake(self.settings)
        return self.rows(
            f"select made.*, seen.* exclude (decision_id) from serving.predictions as made join "
            f"serving.decision_features_v1 as seen using (decision_id) where route = 'online' order by decision_id "
            f"limit {N_ROWS}"
        )

    def rows(self, query: str) -> pd.DataFrame:
        with connect(self.settings) as con:
            return con.execute(query).df()

    def results(self, batch: dict[str, Any]) -> pd.DataFrame:
        """The results of a batch sent over HTTP and run as Dagster runs it."""
        sent = self.client.post("/v1/batches", json=batch)
        assert sent.status_code == 202, sent.text
        batch_id = sent.json()["batch_id"]
        done = run_batch(self.settings, batch_id, run_id="run")
        assert done is not None
        assert done.state == "succeeded", done
        return pd.read_parquet(io.BytesIO(BatchFiles(self.settings, batch_id).results.read_bytes()))


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    family: type[Family] = request.param
    if missing := missing_package(family):
        pytest.skip(f"{family.name} needs {missing}, which is not installed")
    settings = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp(family.name) / "home")})
    shutil.copytree(filled_home().home, settings.home)
    home = furnish(settings, family=family.name)
    bodies = [_body(row) for row in input_rows(N_ROWS, seed=3)]
    with TestClient(create_app(settings, OPTIONS), raise_server_exceptions=False) as client:
        client.headers.update(home.headers)
        yield Served(family, home, client, bodies)


def _body(row: dict[str, Any]) -> dict[str, Any]:
    """A request for a row, of no known borrower; the cohort's rate comes from the online store."""
    given = {column.name: row[column.name] for column in CONTRACT.inputs_of("request")}
    day = given["oldest_account_on"]
    return {
        **given,
        "application_id": row["application_id"],
        "decided_at": "2022-02-01T12:00:00Z",
        "oldest_account_on": None if day is None else day.isoformat(),
    }


def same_scores(served: Served, found: pd.DataFrame, *, in_a_block: bool) -> None:
    """Equal to the online decisions to the bit; a block's raw scores within the bound that the family states."""
    bound = served.bundle.guarantees.score_bound if in_a_block else 0.0
    columns = [name for name in SCORE if name in found and not bound]
    assert _values(found[columns]) == _values(served.online[columns])
    assert np.abs(found["raw_score"].to_numpy() - served.online["raw_score"].to_numpy()).max() <= bound


def _values(frame: pd.DataFrame) -> dict[str, list[object]]:
    plain = frame.astype(object)
    return {str(name): values for name, values in plain.where(plain.notna(), None).to_dict("list").items()}


def test_a_request_is_scored_by_the_bundle_as_written_and_read(served: Served) -> None:
    scorer = Scorer(served.bundle)

    alone = [scorer.score(tuple(_plain(row))) for row in served.online[list(CONTRACT.feature_names)].to_numpy(object)]

    assert served.bundle.family is served.family
    assert served.bundle.guarantees == Guarantees.of(TrainingSettings.from_dict(served.bundle.lineage.settings).model)
    assert [one.raw for one in alone] == served.online["raw_score"].tolist()
    assert 0 < (served.online["decision"] == "decline").sum() < N_ROWS


def _plain(row: Any) -> Iterator[object]:
    return (None if pd.isna(value) else value for value in row)


def test_a_file_has_the_scores_of_its_requests(served: Served) -> None:
    same_scores(served, served.results({"applications": served.bodies}), in_a_block=False)


def test_a_table_has_the_scores_of_its_requests(served: Served) -> None:
    names = ", ".join(CONTRACT.feature_names)
    order = served.online["decision_id"].min(), served.online["decision_id"].max()
    with writer("tests", served.settings) as con:
        con.execute(
            f"create table features.asked as select application_id, {names} from serving.predictions "
            f"join serving.decision_features_v1 using (decision_id) "
            f"where decision_id between '{order[0]}' and '{order[1]}' order by decision_id"
        )

    found = served.results({"table": "features.asked"})

    assert found["application_id"].tolist() == served.online["application_id"].tolist()
    same_scores(served, found, in_a_block=True)


def test_mlflows_model_has_the_scores_of_the_requests(served: Served, tmp_path: Path) -> None:
    mlflow.pyfunc.save_model(
        path=str(tmp_path / "model"),
        python_model=str(pyfunc_model.__file__),
        artifacts={"bundle": str(served.bundle.directory)},
        signature=pyfunc_signature.signature(),
        pip_requirements=["loanlake"],
    )

    found = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(served.online[list(CONTRACT.feature_names)])

    same_scores(served, found, in_a_block=True)


def test_decisions_of_every_route_replay_equal(served: Served) -> None:
    deployment = read_deployment(served.settings, SOURCE)
    assert deployment is not None
    score_applications(served.settings, deployment, since=datetime(2021, 12, 1))
    decision_log.ingest_into_lake(served.settings)
    of_each_route = served.rows(
        "select decision_id, route from serving.predictions "
        "where decision = 'decline' qualify row_number() over (partition by route order by decision_id) = 1"
    )

    replays = [replay(served.settings, decision_id) for decision_id in of_each_route["decision_id"]]

    assert set(of_each_route["route"]) == {"online", "file_batch", "backfill"}
    assert [found.text for found in replays if not found.equal] == []
    assert all(found.recomputed.reasons for found in replays)


def test_its_origin_names_rows_libraries_and_settings_that_are_still_there(served: Served) -> None:
    lineage = served.bundle.lineage
    trained = TrainingSettings.from_dict(lineage.settings)
    with connect(served.settings) as con:
        rows = read_training_set(con, SOURCE, feature_version="v1", exposures=trained.learns_from_open)

    assert lineage.family == served.family.name == trained.model.name
    assert lineage.training_set_sha256 == rows.sha256
    assert trained.model.packages().items() <= lineage.packages.items()


def test_an_erased_person_leaves_scores_and_replays_as_they_were(served: Served) -> None:
    body, before = served.bodies[0], served.online.iloc[0]

    changed = erase_from_bundles(served.settings, ["sim-0", "sim-1"], rename=None)
    served.bundle = load_bundle(served.bundle.directory)

    assert len(changed) == 1
    assert "sim-0" not in set(pd.read_parquet(served.bundle.reference_scores)["application_id"])
    with TestClient(create_app(served.settings, OPTIONS)) as client:
        client.headers.update(served.home.headers)
        answer = client.post("/v1/scores", json=body).json()
    assert answer["probability"] == before["probability"]
    assert replay(served.settings, before["decision_id"]).equal
    assert replay(served.settings, answer["decision_id"]).equal


def test_the_api_states_its_family_and_guarantees(served: Served) -> None:
    said = served.client.get("/v1/model").json()

    assert (said["family"], said["guarantees"]) == (served.family.name, asdict(served.bundle.guarantees))


def _challenged(served: Served, plan: CanaryPlan | None) -> None:
    """Another family becomes the champion, and this one's bundle challenges it as version 3."""
    other = "logistic" if served.family.name != "logistic" else "scorecard"
    champion = publish_model(served.settings, version=OTHER, family=other)
    tried = register_model(served.settings, shared_bundle(family=served.family.name), version=TRIED)
    start_challenge(served.settings, tried, against=champion, share=None, plan=plan, by="tests")
    mode = "shadow" if plan is None else "canary"
    eventually(lambda: (served.client.get("/v1/model").json()["challenger"] or {}).get("mode") == mode)


def eventually(is_so: Callable[[], bool]) -> None:
    """Fail unless it is so within 20 seconds."""
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_in_shadow_it_scores_what_another_family_answers(served: Served) -> None:
    before = served.online.iloc[0]
    _challenged(served, None)

    answer = served.score(served.bodies[0])
    shadow_id = shadow_decision_id(answer["decision_id"])
    with closing(decision_log.create(served.settings)) as log:
        eventually(lambda: decision_log.find_shadow_in_outbox(log, shadow_id) is not None)

    assert answer["model"]["version"] == OTHER
    found = replay(served.settings, shadow_id)
    assert (found.decision.model_version, found.decision.raw_score) == (TRIED, before["raw_score"])
    assert found.equal


def test_as_a_canary_it_answers_its_share_and_ends(served: Served) -> None:
    _challenged(served, CanaryPlan(steps=(0.5,)))

    answers = [served.score(body) for body in served.bodies[:20]]

    roles = {answer["model"]["version"]: answer for answer in answers}
    assert set(roles) == {OTHER, TRIED}
    assert all(replay(served.settings, answer["decision_id"]).equal for answer in roles.values())
