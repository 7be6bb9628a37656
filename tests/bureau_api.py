"""A credit bureau's paginated HTTP API on this machine, with the answers that a test chooses."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, dict[str, str], str]
Respond = Callable[[str, dict[str, str], dict[str, str]], Answer]
REPORTS = [
    {"report_id": 1, "score": "0.10", "seen": {"at": 1}, "updated_at": "2024-03-01T10:00:00Z"},
    {"report_id": 2, "score": "700", "updated_at": "2024-03-02T10:00:00Z"},
    {"report_id": 3, "score": None, "updated_at": "2024-03-02T10:00:00Z"},
]


class Bureau:
    """The server; ``respond`` answers, by path, parameters and headers, and ``asked`` has what it was asked."""

    def __init__(self) -> None:
        self.respond: Respond = self.pages_of_two
        self.asked: list[dict[str, str]] = []
        self.reports: list[dict[str, Any]] = [*REPORTS]
        bureau = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                parameters = {name: values[0] for name, values in parse_qs(url.query).items()}
                bureau.asked.append(parameters)
                status, headers, body = bureau.respond(url.path, parameters, dict(self.headers))
                content = body.encode()
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(content))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v2"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def connections(self) -> str:
        """The keys of a lender's file that lead here, with the token in the environment."""
        keys = f"kind: http, url: {self.url}, auth: bearer, secret_from: 'env:BUREAU_TOKEN', tries: 2"
        return f"connections: {{bureau: {{{keys}}}}}"

    def pages_of_two(self, path: str, parameters: dict[str, str], headers: dict[str, str]) -> Answer:
        """Those since a moment, two a page, as numbers with the digits that they have."""
        if headers.get("Authorization") != "Bearer to-ken":
            return 401, {}, "to-ken"
        found = [each for each in self.reports if each["updated_at"] >= parameters.get("since", "")]
        start = int(parameters.get("page", "1")) * 2 - 2
        text = json.dumps({"data": {"reports": found[start : start + 2]}})
        return 200, {}, text.replace('"0.10"', "0.10")


@contextmanager
def bureau_api() -> Iterator[Bureau]:
    """The server, until the end of the test."""
    found = Bureau()
    try:
        yield found
    finally:
        found.server.shutdown()
        found.server.server_close()
