"""A thousand people at their desks, for Locust (``uv tool install locust``, which is not a dependency of the project).

Each sends an application, thinks for one to three seconds, and sends the next: some 500 requests a second::

    export LOANLAKE_BENCH_KEY=$(loanlake key create locust --rate-limit 1000000)
    locust -f benchmarks/serving/locustfile.py --headless -H http://127.0.0.1:8000 -u 1000 -r 50 -t 3m

``make load`` runs it as the last phase of the load profile. The applications are the file
``LOANLAKE_BENCH_APPLICATIONS``, a JSON array of score requests, or made up: then the model must take the fields of the
README's example.
"""

import json
import os
import random
from pathlib import Path
from typing import Any

from locust import HttpUser, between, task

_FILE = os.environ.get("LOANLAKE_BENCH_APPLICATIONS")
_APPLICATIONS: list[dict[str, Any]] = json.loads(Path(_FILE).read_text()) if _FILE else []
_PURPOSES = ("debt_consolidation", "car", "medical")


class LoanOfficer(HttpUser):
    """Sends one application after another."""

    wait_time = between(1, 3)

    def on_start(self) -> None:
        """Sign in, which is a header here."""
        self.client.headers["Authorization"] = f"Bearer {os.environ['LOANLAKE_BENCH_KEY']}"

    @task
    def score(self) -> None:
        """What is rejected for want of room is counted apart; any other status but 200 is a failure."""
        with self.client.post("/v1/scores", json=_application(), catch_response=True) as response:
            if response.status_code in (429, 503):
                response.request_meta["name"] = f"rejected with {response.status_code}"
                response.success()


def _application() -> dict[str, Any]:
    if _APPLICATIONS:
        return random.choice(_APPLICATIONS)  # a load, not a secret
    number = random.randrange(1_000_000)
    return {
        "application_id": f"locust-{number}",
        "borrower_id": f"borrower-{number % 5000}",
        "requested_amount": 1000 + number % 30_000,
        "term_months": 36,
        "annual_rate": 0.08 + number % 20 / 100,
        "purpose": _PURPOSES[number % len(_PURPOSES)],
        "annual_income": 20_000 + number % 90_000,
        "income_verified": number % 2 == 0,
    }
