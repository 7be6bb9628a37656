"""A bureau's paginated API, served on this machine: its rows, its pages, and its refusals."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.bureau_api import REPORTS, Answer, Bureau, bureau_api
from tests.unit.warehouse.sources.conftest import Rows
from tests.unit.warehouse.sources.pulling.conftest import Declare
from warehouse.errors import PullError
from warehouse.settings import Settings
from warehouse.sources.pulling.pull import pull


@pytest.fixture
def bureau() -> Iterator[Bureau]:
    with bureau_api() as found:
        yield found


@pytest.fixture(autouse=True)
def declared(bureau: Bureau, declare: Declare, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """The API declared with page numbers, or with other keys of its pages."""
    monkeypatch.setenv("BUREAU_TOKEN", "to-ken")

    def write(pages: str) -> None:
        declare(f"""
{bureau.connections}
pulls:
  reports:
    connection: bureau
    path: reports
    items: data.reports
    row_key: [report_id]
    cursor: updated_at
    since_parameter: since
    {pages}
""")

    write("{pages: number, page_parameter: page}"[1:-1].replace(", ", "\n    "))
    return write


def test_all_pages_become_rows_and_the_next_pull_asks_from_there_on(bureau: Bureau, home: Settings, rows: Rows) -> None:
    (first,) = pull("bank", home)
    n_asked = len(bureau.asked)
    bureau.reports += [{"report_id": 4, "score": 5, "grade": "A", "updated_at": "2024-03-03T10:00:00Z"}]
    (second,) = pull("bank", home)

    assert (first.n_read, first.n_loaded, first.cursor_to) == (3, 3, "2024-03-02T10:00:00Z")
    assert (second.n_read, second.n_loaded, second.cursor_to) == (3, 1, "2024-03-03T10:00:00Z")
    assert bureau.asked[n_asked]["since"] == "2024-03-02T10:00:00Z"
    assert rows("select report_id, score, seen, grade, updated_at from raw.bank_reports order by report_id") == [
        ("1", "0.10", '{"at": 1}', None, "2024-03-01T10:00:00Z"),
        ("2", "700", None, None, "2024-03-02T10:00:00Z"),
        ("3", None, None, None, "2024-03-02T10:00:00Z"),
        ("4", "5", None, "A", "2024-03-03T10:00:00Z"),
    ]
    assert rows("select distinct pulled_from from raw.files") == [(f"{bureau.url}/reports",)]


def test_dlt_reports_nothing_about_its_use(home: Settings) -> None:
    pull("bank", home)

    from dlt.common.configuration.resolve import resolve_configuration
    from dlt.common.configuration.specs import RuntimeConfiguration

    assert not resolve_configuration(RuntimeConfiguration()).dlthub_telemetry


def test_a_row_that_two_pages_bring_is_loaded_once(bureau: Bureau, home: Settings, rows: Rows) -> None:
    """A row that is deleted or added while the pages are read moves the others by one."""
    pages = {"1": REPORTS[:2], "2": REPORTS[1:]}
    bureau.respond = lambda _, parameters, __: (
        *(200, {}),
        json.dumps({"data": {"reports": pages.get(parameters["page"], [])}}),
    )

    (result,) = pull("bank", home)

    assert (result.n_read, result.n_loaded) == (4, 3)


def test_pages_may_be_linked_or_continue_by_token_or_offset(
    bureau: Bureau, home: Settings, declared: Callable[[str], None]
) -> None:
    def linked(path: str, parameters: dict[str, str], _: dict[str, str]) -> Answer:
        number = int(parameters.get("token") or parameters.get("offset", "0"))
        more = number + 1 < len(REPORTS)
        body: dict[str, Any] = {"data": {"reports": REPORTS[number : number + 1]}}
        if more:
            body |= {"next": f"{bureau.url}/reports?token={number + 1}", "token": str(number + 1)}
        link = {"Link": f'<{bureau.url}/reports?token={number + 1}>; rel="next"'} if more else {}
        return 200, link, json.dumps(body)

    bureau.respond = linked
    for pages in (
        "pages: link\n    page_at: next",
        "pages: link_header",
        "pages: token\n    page_at: token\n    page_parameter: token",
        "pages: offset\n    page_parameter: offset\n    page_size_parameter: limit\n    page_size: 1",
    ):
        declared(pages)
        assert pull("bank", home)[0].n_read == 3, pages


@pytest.mark.parametrize(
    ("status", "n_asked", "message"),
    [
        (401, 1, r"reports is answered with 401: .*; nothing was loaded\. check auth and secret_from"),
        (404, 1, r"reports is answered with 404: .*check url and path"),
        (429, 2, r"reports is answered with 429 after 2 tries"),
        (500, 2, r"reports is answered with 500 after 2 tries"),
        (302, 1, r"reports is answered with 302"),
    ],
)
def test_a_refusal_says_what_to_do_after_bounded_tries(
    bureau: Bureau, home: Settings, rows: Rows, status: int, n_asked: int, message: str
) -> None:
    bureau.respond = lambda *_: (status, {"Retry-After": "0", "Location": "http://127.0.0.1:1/"}, "")

    with pytest.raises(PullError, match=message) as refused:
        pull("bank", home)

    assert len(bureau.asked) == n_asked
    assert "to-ken" not in str(refused.value)
    assert rows("select count(*) from raw.files") == [(0,)]


@pytest.mark.parametrize(
    ("body", "pages", "message"),
    [
        (
            {"data": {"reports": REPORTS}},
            "pages: number\n    page_parameter: page",
            "pages 1 and 2 of reports are the same",
        ),
        (
            {"data": {"reports": REPORTS}, "next": "http://elsewhere.example/v2"},
            "pages: link\n    page_at: next",
            r"must be on http://127\.0\.0\.1:\d+: found http://elsewhere\.example",
        ),
        ({"data": {"reports": [1, 2]}}, "pages: single", "must be a list of objects: found 1 in the first of 2 rows"),
        ({"data": {"reports": [{"id": 1}]}}, "pages: single", "must have report_id: found none; there are id"),
        ({"reports": []}, "pages: single", r"must have data\.reports: found reports; nothing was loaded"),
        ("[" * 100_000, "pages: single", "page 1 of reports cannot be read"),
        ("<html>", "pages: single", "page 1 of reports cannot be read"),
    ],
)
def test_an_answer_that_cannot_be_right_is_refused(
    bureau: Bureau, home: Settings, declared: Callable[[str], None], body: object, pages: str, message: str
) -> None:
    declared(pages)
    bureau.respond = lambda *_: (200, {}, body if isinstance(body, str) else json.dumps(body))

    with pytest.raises(PullError, match=message):
        pull("bank", home)


def test_a_bad_row_costs_no_other_row_of_its_page(
    bureau: Bureau, home: Settings, declared: Callable[[str], None], rows: Rows
) -> None:
    """No object, no key, NaN, half a character, a NUL, a time that is none: each is a row's own fault."""
    declared("pages: single")
    bad = (
        r"""null, {"score": 1, "updated_at": "2024-03-01T10:00:00Z"}, {"report_id": 5, "score": NaN}, """
        r"""{"report_id": 6, "score": "a\u0000b\ud800", "updated_at": "never"}"""
    )
    bureau.respond = lambda *_: (200, {}, json.dumps({"data": {"reports": REPORTS}}).replace("]}}", f", {bad}]}}}}"))

    first, second = pull("bank", home)[0], pull("bank", home)[0]

    assert (first.n_read, first.n_loaded, [each.n_rejected for each in first.loaded]) == (7, 5, [2])
    assert first.cursor_to == "2024-03-02T10:00:00Z"
    assert (second.n_loaded, second.loaded) == (0, ())
    assert rows("select report_id, score from raw.bank_reports where report_id in ('5', '6') order by 1") == [
        ("5", "NaN"),
        ("6", "a\x00b\ufffd"),
    ]
    assert rows("select value, reason from raw.rejected_lines order by line") == [
        ("null", "not one object of JSON on one line"),
        (
            '{"report_id":null,"score":"1","seen":null,"updated_at":"2024-03-01T10:00:00Z"}',
            "no value of the row key report_id",
        ),
    ]


def test_pages_without_end_are_bounded(bureau: Bureau, home: Settings, declared: Callable[[str], None]) -> None:
    declared("pages: number\n    page_parameter: page\n    most_pages: 3")
    bureau.respond = lambda _, parameters, __: (
        *(200, {}),
        json.dumps({"data": {"reports": [{"report_id": parameters["page"], "updated_at": "2024-03-01"}]}}),
    )

    with pytest.raises(PullError, match="reports must have at most 3 pages: found more"):
        pull("bank", home)

    assert len(bureau.asked) == 4


def test_a_server_that_does_not_answer_is_named(bureau: Bureau, home: Settings) -> None:
    bureau.server.shutdown()
    bureau.server.server_close()

    with pytest.raises(PullError, match=r"127\.0\.0\.1:\d+ does not answer after 2 tries"):
        pull("bank", home)
