"""What `/metrics` shows: names, labels, and nothing that grows without bound."""

import re

from litestar import Litestar
from litestar.testing import TestClient

from tests.serving_home import RISKY
from warehouse.settings import REPOSITORY

Client = TestClient[Litestar]

_ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<kind>\w+) \|(?P<labels>[`\w ]*)\|", re.MULTILINE)


def test_the_page_of_metrics_lists_what_there_is(client: Client) -> None:
    """A metric that no operator can look up, or a promise of one that is gone."""
    client.post("/v1/scores", json=RISKY)

    told = dict(re.findall(r"^# TYPE (\w+) (\w+)$", client.get("/metrics").text, re.MULTILINE))

    listed = {row["name"]: row["kind"] for row in _ROW.finditer((REPOSITORY / "docs" / "metrics.md").read_text())}
    assert told == listed
