"""nginx has the limits of the API and, for MLflow, the rules of `loanlake up`; see tests/integration/test_nginx.py."""

import re

import pytest
from starlette.requests import Request

from orchestration.doors.rules import mlflow_rule, refused_method
from serving.options import ServingOptions
from tests.deploy.folder import DEPLOY

API = (DEPLOY / "nginx" / "api.conf").read_text()
PAGES = (DEPLOY / "nginx" / "pages.conf").read_text()


def test_bodies_are_limited_as_the_api_limits_them() -> None:
    limits = ServingOptions()
    sizes = [int(size) for size in re.findall(r"client_max_body_size (\d+);", API)]

    assert sizes == [limits.body_bytes, limits.batch_bytes, limits.batch_bytes]
    assert set(re.findall(r"(?:client_\w+|send)_timeout (\d+)s", API)) == {f"{limits.request_seconds:.0f}"}


def test_only_what_the_api_knows_again_is_sent_again(api_paths: set[str]) -> None:
    patterns = re.findall(r"location ~ (\S+) \{", API)
    concrete = {re.sub(r"\{[^}]+\}", "x", path) for path in api_paths}
    sent_again = {path for path in concrete for pattern in patterns if re.search(pattern, path)}

    assert sent_again == {"/v1/scores", "/v1/lenders/x/scores", "/v1/batches", "/v1/lenders/x/batches"}
    assert API.count("non_idempotent") == len(patterns)


def test_what_is_for_the_inside_is_closed(api_paths: set[str]) -> None:
    closed = set(re.findall(r"location = (\S+) \{\s+return 404;", API))

    assert closed == {"/metrics", "/readyz", "/healthz"}
    assert closed <= api_paths


@pytest.mark.parametrize(
    "line",
    [
        "GET /",
        "HEAD /ajax-api/2.0/mlflow/experiments/get",
        "POST /graphql",
        "POST /api/2.0/mlflow/runs/search",
        "POST /ajax-api/2.0/mlflow/model-versions/search",
        "POST /ajax-api/3.0/mlflow/traces/metrics",
        "POST /api/2.0/mlflow/runs/create",
        "POST /api/2.0/mlflow/runs/search/../create",
        "DELETE /api/2.0/mlflow/runs/search",
        "PUT /api/2.0/mlflow-artifacts/artifacts/a",
    ],
)
def test_mlflow_may_do_behind_nginx_what_it_may_behind_loanlake_up(line: str) -> None:
    method, path = line.split()
    [rules] = re.findall(r"map \"\$request_method \$uri\" \$changes_mlflow \{(.+?)\}\n", PAGES, re.DOTALL)
    allowed = re.findall(r'"~(\S.+)" 0;', rules)
    headers = [(b"content-type", b"application/json"), (b"origin", b"https://loanlake.example")]
    request = Request({"type": "http", "method": method, "path": path, "headers": headers})

    passes = any(re.search(pattern, line) for pattern in allowed)

    assert passes == (refused_method(request) is None and mlflow_rule(request) is None)
