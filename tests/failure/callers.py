"""Callers who score over and over, whatever becomes of the server, and keep what they were answered.

Half of them send an ``Idempotency-Key`` and, where no answer came, the same request again until one does; the others go
on to their next application, as callers do who have no way to know.
"""

import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

from tests.serving_home import APPLICATION, RISKY, ServingHome

#: Between a connection that was lost and the next try.
_PAUSE_SECONDS = 0.02
#: How long a request may take before its caller gives the connection up.
_TIMEOUT_SECONDS = 20


@dataclass
class Told:
    """The answers that callers got, all together.

    ``scores``: id and probability of every 200. ``applications``: those that were sent with a key.
    ``n_unanswered``: requests that got no answer; ``n_sent_again``: those that were then sent again.
    ``refused``: set by the first answer that is no score, while the callers still work.
    """

    scores: list[tuple[str, float]] = field(default_factory=list)
    applications: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    versions: Counter[int] = field(default_factory=Counter)
    n_unanswered: int = 0
    n_sent_again: int = 0
    refused: Event = field(default_factory=Event)

    def add(self, other: "Told") -> None:
        """Add the answers of another caller."""
        self.scores += other.scores
        self.applications += other.applications
        self.statuses += other.statuses
        self.versions += other.versions
        self.n_unanswered += other.n_unanswered
        self.n_sent_again += other.n_sent_again


class Caller:
    """One caller: a connection, one request at a time, and a new connection if the last was lost."""

    def __init__(self, name: str, port: int, serving_home: ServingHome, *, has_keys: bool, refused: Event):
        self._name = name
        self._has_keys = has_keys
        self._headers = serving_home.headers | {"Content-Type": "application/json"}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
        self._is_refused = False
        self.told = Told(refused=refused)

    def call_until(self, stop: Event) -> Told:
        """Score one application after the other; the last one is seen through to its answer."""
        number = 0
        while not stop.is_set():
            number += 1
            self._see_through(f"{self._name}-{number}", RISKY if number % 2 else APPLICATION, stop)
        self._connection.close()
        return self.told

    def _see_through(self, application_id: str, application: dict[str, object], stop: Event) -> None:
        body = json.dumps(application | {"application_id": application_id})
        headers = self._headers | ({"Idempotency-Key": application_id} if self._has_keys else {})
        is_sent_again = False
        while not self._is_scored(body, headers):
            if not self._has_keys or (stop.is_set() and self._is_refused):
                return
            self.told.n_sent_again += not is_sent_again
            is_sent_again = True
        if self._has_keys:
            self.told.applications.append(application_id)

    def _is_scored(self, body: str, headers: dict[str, str]) -> bool:
        try:
            self._connection.request("POST", "/v1/scores", body, headers)
            response = self._connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException) as error:
            self._is_refused = isinstance(error, ConnectionRefusedError)  # nothing was sent
            self.told.n_unanswered += not self._is_refused
            self._connection.close()
            time.sleep(_PAUSE_SECONDS)
            return False
        self._is_refused = False
        self.told.statuses[response.status] += 1
        if response.status != 200:
            self.told.refused.set()
            time.sleep(_PAUSE_SECONDS)
            return False
        self.told.scores.append((answer["decision_id"], answer["probability"]))
        self.told.versions[answer["model"]["version"]] += 1
        return True


@contextmanager
def calling(port: int, serving_home: ServingHome, *, n_callers: int = 6) -> Iterator[Told]:
    """Callers that work while the block runs; after it their answers are complete."""
    stop, total = Event(), Told()
    callers = [
        Caller(f"caller-{number}", port, serving_home, has_keys=number % 2 == 0, refused=total.refused)
        for number in range(n_callers)
    ]
    with ThreadPoolExecutor(n_callers) as threads:
        running = [threads.submit(caller.call_until, stop) for caller in callers]
        try:
            yield total
        finally:
            stop.set()
    for finished in running:
        total.add(finished.result())
