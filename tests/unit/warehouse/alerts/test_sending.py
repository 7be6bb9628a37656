"""Messages reach a real mail server and a real webhook, at least once, and no record of them holds an address."""

import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from click.testing import CliRunner

from orchestration.alerts_command import alerts as command
from tests.free_ports import free_port
from tests.unit.warehouse.alerts.shown_alerts import alert, show
from warehouse.alerts import sending
from warehouse.alerts.sending import send_due, unsent_lines, without_address
from warehouse.lake.connection import connect
from warehouse.settings import Settings

NOW = datetime(2026, 1, 5, 12)


class Receiver:
    """A webhook on a port of its own; ``status`` is what it answers."""

    def __init__(self) -> None:
        self.port = free_port()
        self.status, self.received = 200, list[dict[str, Any]]()

    @property
    def url(self) -> str:
        return f"json://agent:s3cret-token@127.0.0.1:{self.port}/hook"

    @contextmanager
    def running(self) -> Iterator[None]:
        receiver = self

        class Hook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if receiver.status == 200:
                    receiver.received.append(body)
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        with HTTPServer(("127.0.0.1", self.port), Hook) as server:
            thread = threading.Thread(target=server.serve_forever, args=[0.01])
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()


@pytest.fixture
def receiver(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    """The only route of the home."""
    found = Receiver()
    monkeypatch.setenv("LOANLAKE_HOME", str(home.home))
    monkeypatch.setenv("HOOK_URL", found.url)
    show(home, alert())
    home.alert_routes.write_text("routes: {hook: {url: {environment: HOOK_URL}}}")
    return found


def recorded(home: Settings) -> list[tuple[Any, ...]]:
    with connect(home) as con:
        return con.execute(
            "select event, attempt, outcome from monitoring.alert_notifications order by attempted_at, attempt"
        ).fetchall()


def test_a_new_alert_is_sent_once_and_its_end_too(home: Settings, receiver: Receiver) -> None:
    with receiver.running():
        send_due(home, now=NOW)
        send_due(home, now=NOW + timedelta(hours=1))
        show(home, alert(state="resolved"))
        send_due(home, now=NOW + timedelta(hours=2))

    first, last = receiver.received
    assert first["title"] == "Loanlake: 1 new alert of bank"
    assert "[new] 0123456789  open, low  bank: Features have drifted, 2 (purpose, term)" in first["message"]
    assert "to do: Look at missing values first" in first["message"]
    assert last["title"] == "Loanlake: 1 resolved alert of bank"
    assert recorded(home) == [("opened", 1, "delivered"), ("resolved", 1, "delivered")]


def test_a_receiver_that_was_down_gets_the_message_when_it_is_up(home: Settings, receiver: Receiver) -> None:
    [sent] = send_due(home, now=NOW)
    assert send_due(home, now=NOW + timedelta(seconds=59)) == []
    with receiver.running():
        receiver.status = 500
        send_due(home, now=NOW + timedelta(minutes=1))
        receiver.status = 200
        send_due(home, now=NOW + timedelta(minutes=3))

    assert sent.problem
    assert len(receiver.received) == 1
    assert recorded(home) == [("opened", 1, "failed"), ("opened", 2, "failed"), ("opened", 3, "delivered")]


def test_a_person_sends_what_failed_without_waiting_for_its_next_try(home: Settings, receiver: Receiver) -> None:
    send_due(home, now=NOW)
    with receiver.running():
        sent = send_due(home, now=NOW + timedelta(seconds=1), without_rest=True)
        again = send_due(home, now=NOW + timedelta(seconds=2), without_rest=True)

    assert [each.problem for each in sent] == [""]
    assert again == []
    assert len(receiver.received) == 1


def test_a_route_without_an_address_is_named_and_notified_when_it_has_one(
    home: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.alert_routes.write_text("routes: {hook: {url: {environment: HOOK_URL}}, late: {url: {environment: LATE_URL}}}")
    with receiver.running():
        first = send_due(home, now=NOW)
        lines = unsent_lines(home)
        monkeypatch.setenv("LATE_URL", receiver.url)
        second = send_due(home, now=NOW)

    assert [each.route for each in first] == ["hook"]
    assert len(lines) == 1
    assert lines[0].startswith("a route gets no alert: ")
    assert "the environment variable LATE_URL must hold an address" in lines[0]
    assert [(each.route, each.problem) for each in second] == [("late", "")]


def test_two_that_send_at_a_time_send_each_message_once(home: Settings, receiver: Receiver) -> None:
    """Dagster's sensor looks each minute, and a person may send meanwhile."""
    with receiver.running(), ThreadPoolExecutor(2) as pool:
        sent = [*pool.map(lambda _: send_due(home, now=NOW), range(2))]

    assert sorted(map(len, sent)) == [0, 1]
    assert len(receiver.received) == 1


def test_the_title_says_how_many_are_severe(home: Settings, receiver: Receiver) -> None:
    show(home, alert("a"), alert("b", kind="gate", severity="high"))

    with receiver.running():
        send_due(home, now=NOW)

    assert [each["title"] for each in receiver.received] == [
        "Loanlake: 2 new alerts of bank, 1 with high severity",
    ]


def test_a_process_killed_between_message_and_record_sends_it_again(
    home: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with receiver.running():
        with monkeypatch.context() as patch:
            patch.setattr(sending, "_record", killed)
            with pytest.raises(KeyboardInterrupt):
                send_due(home, now=NOW)
        send_due(home, now=NOW)

    assert len(receiver.received) == 2
    assert recorded(home) == [("opened", 1, "delivered")]


def test_a_message_is_given_up_after_its_last_attempt_and_repeated_by_a_person(
    home: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOANLAKE_ALERT_ATTEMPTS", "2")

    send_due(home, now=NOW)
    [sent] = send_due(home, now=NOW + timedelta(minutes=1))

    assert sent.is_dead
    assert send_due(home, now=NOW + timedelta(days=1)) == []
    assert unsent_lines(home) == ["1 notifications were given up: `loanlake alerts send --dead` repeats them"]
    with receiver.running():
        done = CliRunner().invoke(command, ["send", "--dead"])
    assert done.output == "hook: Loanlake: 1 new alert of bank: delivered\n"
    assert unsent_lines(home) == []


def test_no_record_log_or_answer_holds_a_part_of_the_address(
    home: Settings, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    [sent] = send_due(home, now=NOW)
    tested = CliRunner().invoke(command, ["test-route", "hook"])
    with connect(home) as con:
        rows = str(con.execute("from monitoring.alert_notifications").fetchall())

    assert tested.exit_code == 1
    assert "not delivered" in tested.output
    for text in (sent.problem, rows, caplog.text, tested.output):
        assert "s3cret-token" not in text
        assert str(receiver.port) not in text


def test_parts_of_an_address_are_masked_wherever_they_stand() -> None:
    url = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnl%2B/#alerts"

    assert without_address("posting to /T1JJ3T3L2/A1BRTD4JD/TIiajkdnl+ failed: 403", url) == (
        "posting to /***/***/*** failed: 403"
    )


def test_an_alert_arrives_by_mail(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    mails: list[tuple[list[str], Any]] = []

    class Inbox:
        async def handle_DATA(  # noqa: N802 - the server calls it by this name
            self, _server: object, _session: object, envelope: Any
        ) -> str:
            mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default)))
            return "250 OK"

    port = free_port()
    server = Controller(Inbox(), hostname="127.0.0.1", port=port)
    monkeypatch.setenv(
        "MAIL_URL", f"mailto://127.0.0.1:{port}/?mode=insecure&from=loanlake@lender.example&to=risk@lender.example"
    )
    show(home, alert(severity="high"))
    home.alert_routes.write_text("routes: {mail: {url: {environment: MAIL_URL}, severity: high}}")

    server.start()
    try:
        [sent] = send_due(home, now=NOW)
    finally:
        server.stop()

    assert sent.problem == ""
    [(recipients, mail)] = mails
    assert recipients == ["risk@lender.example"]
    assert mail["subject"] == "Loanlake: 1 new alert of bank, 1 with high severity"
    assert "term has drifted" in mail.get_body(("plain", "html")).get_content()


def test_an_unknown_route_is_named_with_those_declared(home: Settings, receiver: Receiver) -> None:
    done = CliRunner().invoke(command, ["test-route", "nobody"])

    assert "declared are hook" in str(done.exception)
