"""A crowd is answered as far as there is room, and the rest told when to come again."""

import asyncio
from collections import Counter
from dataclasses import replace

import httpx
from litestar import Litestar

from serving.app import create_app
from tests.serving_home import APPLICATION, ServingHome
from tests.unit.serving.conftest import OPTIONS


async def crowd(app: Litestar, headers: dict[str, str], n: int) -> tuple[list[httpx.Response], httpx.Response]:
    """Answers to ``n`` requests at once, and of the health check among them."""
    transport = httpx.ASGITransport(app=app)
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://server", headers=headers) as client,
    ):
        health, *answers = await asyncio.gather(
            client.get("/healthz"), *(client.post("/v1/scores", json=APPLICATION) for _ in range(n))
        )
        answers.append(await client.post("/v1/scores", json=APPLICATION))
    return answers, health


def test_beyond_the_limit_requests_are_refused_at_once_and_later_answered_again(own_home: ServingHome) -> None:
    app = create_app(own_home.settings, replace(OPTIONS, requests_at_once=4))

    answers, health = asyncio.run(crowd(app, own_home.headers, 20))

    statuses = Counter(answer.status_code for answer in answers[:-1])
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert set(statuses) == {200, 503}
    assert 4 <= statuses[200] < 20
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["type"] == "urn:loanlake:problem:unavailable"
    assert (health.status_code, answers[-1].status_code) == (200, 200)
