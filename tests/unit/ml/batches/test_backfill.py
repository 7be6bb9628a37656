"""Batch decisions: each application once a model version, and each replays to the bit."""

from collections.abc import Iterator
from datetime import datetime

import pytest

from ml.batches.backfill import BatchCounts, batch_decision_id, score_applications
from ml.bundle.bundle import load_bundle
from ml.bundle.scorer import Scorer
from ml.decisions.replay import replay_decision
from ml.registry.deployment import Deployment
from tests import model_factory
from tests.model_factory import CONTRACT, MODEL_NAME, publish_model, shared_bundle
from warehouse.decision_log import Decision
from warehouse.decision_log.entries import DECISIONS
from warehouse.decision_log.json_text import dump_values
from warehouse.lake.connection import connect, current_snapshot, writer
from warehouse.settings import Settings


class Lender:
    """A home with a filled lake, scored once by version 1 from its first test decision on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        model_factory.fill_lake(settings)
        self.deployment: Deployment = publish_model(settings)
        self.counts: BatchCounts = score_applications(settings, self.deployment)

    def query(self, sql: str) -> list[tuple]:
        with connect(self.settings) as con:
            return con.execute(sql).fetchall()

    def decisions(self) -> Iterator[Decision]:
        names, features = DECISIONS.columns, CONTRACT.feature_names
        for row in self.query(
            f"select {', '.join(f'made.{name}' for name in names)}, {', '.join(f'seen.{name}' for name in features)} "
            "from serving.predictions as made join serving.decision_features_v1 as seen using (decision_id) "
            "where model_version = 1"
        ):
            logged = dump_values(dict(zip(features, row[len(names) :], strict=True)))
            yield Decision(**dict(zip(names, row, strict=False)), features=logged)


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory) -> Lender:
    """One lake for all tests here: each looks at decisions of version 1, or makes those of a version of its own."""
    return Lender(Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("lender") / "home")}))


def test_the_months_after_the_training_cut_off_are_scored(lender):
    in_test = lender.query("select application_id from training.trn_default_v1 where split = 'test' order by 1")

    decided = lender.query("select application_id from serving.predictions where model_version = 1 order by 1")

    assert decided == in_test
    assert lender.counts.n_found == lender.counts.n_scored == len(in_test)
    assert lender.counts.since == datetime(2021, 6, 1, 9)


def test_every_batch_decision_replays_to_the_bit(lender):
    scorer = Scorer(load_bundle(lender.deployment.bundle_directory(lender.settings)))

    replays = [replay_decision(decision, scorer) for decision in lender.decisions()]

    assert len(replays) == lender.counts.n_scored
    assert [replay.differences for replay in replays if not replay.equal] == []


def test_reasons_are_given_where_they_are_owed(lender):
    n_wrong = lender.query(
        "select count(*) from serving.predictions "
        "where model_version = 1 and (decision = 'decline') != (json_array_length(reasons) between 1 and 4)"
    )

    assert n_wrong == [(0,)]
    assert lender.counts.n_declined == lender.query(
        "select count(*) from serving.predictions where model_version = 1 and decision = 'decline'"
    )[0][0]  # fmt: skip


def test_a_row_tells_where_it_came_from(lender):
    found = lender.query(
        "select distinct source, model_name, model_version, feature_version, route, latency_ms, "
        "decided_at = features_as_of from serving.predictions where model_version = 1"
    )

    assert found == [("simulated", MODEL_NAME, 1, "v1", "backfill", None, True)]


def test_a_borrower_without_history_is_marked(lender):
    statuses = lender.query(
        "select status, count(*) from serving.predictions "
        "where (inputs->>'max_months_past_due_6m' is null) != (status = 'scored_without_history') group by all"
    )

    assert statuses == []
    assert 0 < lender.counts.n_without_history < lender.counts.n_scored


def test_the_writer_lease_is_free_while_scoring(lender):
    """Prevents a long batch from keeping dbt and ingestion waiting: nothing to insert, so no lease is asked for."""
    with writer("someone else", lender.settings):
        assert score_applications(lender.settings, lender.deployment).n_found == 0


def test_running_again_adds_nothing(lender):
    with connect(lender.settings) as con:
        before = current_snapshot(con)

    again = score_applications(lender.settings, lender.deployment)

    with connect(lender.settings) as con:
        after = current_snapshot(con)
    assert (again.n_found, again.n_scored, after) == (0, 0, before)


def test_another_version_decides_for_itself(lender):
    second = score_applications(lender.settings, publish_model(lender.settings, version=2))

    n_ids = lender.query("select count(distinct decision_id) from serving.predictions where model_version in (1, 2)")
    assert second.n_scored == lender.counts.n_scored
    assert n_ids == [(2 * second.n_scored,)]


def test_small_batches_give_the_same_decisions(lender):
    score_applications(lender.settings, publish_model(lender.settings, version=3), batch_rows=37)

    first, third = (
        lender.query(
            "select application_id, inputs, seen.* exclude (decision_id), raw_score, probability, decision, reasons "
            "from serving.predictions join serving.decision_features_v1 as seen using (decision_id) "
            f"where model_version = {version} order by 1"
        )
        for version in (1, 3)
    )
    assert third == first


def test_since_narrows_and_rows_the_model_learned_from_stay_out(lender):
    deployment = publish_model(lender.settings, version=4)

    late = score_applications(lender.settings, deployment, since=datetime(2021, 11, 1))
    everything = score_applications(lender.settings, deployment, since=datetime(2000, 1, 1))

    n_test_rows = shared_bundle().lineage.rows["test"]
    assert 0 < late.n_scored < n_test_rows
    assert late.n_scored + everything.n_scored == n_test_rows


def test_ids_are_the_same_whenever_they_are_computed():
    first = batch_decision_id("default_risk_simulated", 1, "sim-1")

    assert first == batch_decision_id("default_risk_simulated", 1, "sim-1") == "0b990e54-5730-51f7-a082-6b20fffe8d41"
    assert first != batch_decision_id("default_risk_simulated", 2, "sim-1")
    assert first != batch_decision_id("default_risk_simulated", 1, "sim-2")
