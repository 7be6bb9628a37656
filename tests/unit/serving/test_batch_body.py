"""Rows of a queued batch are checked one by one, for no more than a row should cost."""

from serving.batch_body import checked_rows
from serving.clock import utc_now
from serving.deployment_schema import DeploymentSchema, Version
from serving.score_request import score_request_schema
from warehouse.contract import FeatureContract


def test_the_first_refused_rows_say_which_names_may_have_been_meant() -> None:
    schema = DeploymentSchema(
        Version(
            "version 1, the champion",
            score_request_schema(FeatureContract(version="v1", inputs=(), features=(), sql="")),
        )
    )
    good, misspelt = {"application_id": "a"}, {"application_id": "a", "borrower": "b"}

    rows = list(checked_rows([good, *[misspelt] * 12], schema, utc_now()))

    problems = [row.problem or "" for row in rows]
    assert problems[0] == ""
    assert ["is not a field of this request" in problem for problem in problems[1:]] == [True] * 12
    assert ["did you mean borrower_id?" in problem for problem in problems[1:]] == [True] * 10 + [False] * 2
