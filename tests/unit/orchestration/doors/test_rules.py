"""What MLflow itself offers, compared with what its door lets through: a new version of MLflow may bring more."""

import pytest
from starlette.requests import HTTPConnection

from orchestration.doors.rules import mlflow_rule


def passes(method: str, path: str) -> bool:
    return mlflow_rule(HTTPConnection({"type": "http", "method": method, "path": path, "headers": []})) is None


@pytest.mark.slow
def test_of_mlflows_own_posts_only_those_that_read_pass() -> None:
    from mlflow.server.handlers import get_endpoints

    passed = {
        path.partition("/mlflow/")[2] or path
        for path, _, methods in get_endpoints()
        for method in methods
        if method not in ("GET", "HEAD") and passes(method, path)
    }

    assert passed == {
        *("experiments/search", "runs/search", "logged-models/search", "traces/search", "issues/search"),
        *("datasets/search", "registered-models/get-latest-versions", "traces/batchGetInfos", "traces/metrics"),
        "/graphql",
    }


@pytest.mark.slow
def test_mlflows_graphql_can_only_search() -> None:
    """It passes the door as a whole: each of its mutations is a search, or echoes a text."""
    from mlflow.server.graphql.graphql_schema_extensions import schema

    mutations = schema.graphql_schema.mutation_type

    assert mutations is not None
    assert set(mutations.fields) == {"mlflowSearchDatasets", "mlflowSearchRuns", "testMutation"}
