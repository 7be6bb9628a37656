"""Rows of a paginated HTTP API through dlt's REST client, with every digit of their numbers."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from warehouse.errors import PullError
from warehouse.lenders.connections import ConnectionSettings, PullSettings
from warehouse.sources.pulling.engine import fault, secret_of
from warehouse.sources.pulling.texts import cursor_of, earlier, json_text, read_json

if TYPE_CHECKING:
    from dlt.sources.helpers.rest_client.client import RESTClient
    from dlt.sources.helpers.rest_client.paginators import BasePaginator
    from requests import Response
    from requests.auth import AuthBase

#: Seconds between two tries: 0.5, 1, 2, …, or what `Retry-After` says, but never more than this.
_LONGEST_DELAY = 60
_WHY = {
    401: "check auth and secret_from: the API does not accept the secret",
    403: "the API does not allow this: ask its owner for the right to read",
    404: "check url and path",
    429: "the API limits requests: pull less often, or set tries higher",
}


def address(connection: ConnectionSettings, pull: PullSettings) -> str:
    """Where the rows come from, as ``raw.files`` has it; parameters, which may be keys, are left out."""
    return f"{str(connection.url).rstrip('/')}/{str(pull.path).lstrip('/')}"


def read_pages(
    name: str, connection: ConnectionSettings, pull: PullSettings, cursor: str | None
) -> Iterator[Sequence[Any]]:
    """The items of page after page, with the parameter for rows from ``cursor`` on, if the API has one.

    Raises PullError for an API that cannot be reached, refuses, leads to another host, repeats a page or has too many;
    SettingError for a missing secret.
    """
    from requests import RequestException

    secret = secret_of(name, connection)
    parameters = dict(pull.parameters)
    if cursor is not None and pull.since_parameter is not None:
        parameters[pull.since_parameter] = _since(cursor, pull.look_back)
    pages = _client(connection, secret).paginate(
        str(pull.path),
        params=parameters,
        paginator=_paginator(pull),
        data_selector=pull.items,
        hooks={"response": [_exact]},
        allow_redirects=False,
    )
    before: str | None = None
    n_pages = 0
    try:
        for page in pages:
            n_pages += 1
            _require_items(name, pull, page.response)
            rows = list(page)
            content = json_text(rows)
            if rows and content == before:
                raise PullError(
                    f"{name}: each page must bring other rows: pages {n_pages - 1:,} and {n_pages:,} of {pull.path} "
                    "are the same; nothing was loaded. Check pages, page_at and page_parameter"
                )
            before = content
            if n_pages > pull.most_pages:
                raise PullError(
                    f"{name}: {pull.path} must have at most {pull.most_pages:,} pages: found more; nothing was loaded. "
                    "Raise most_pages if that many are right"
                )
            if page.paginator.has_next_page:
                _require_same_host(name, connection, str(page.request.url))
            yield rows
    except RequestException as error:
        raise _explained(name, connection, pull, error, secret) from None
    except ValueError as error:
        raise fault(
            f"connection {name}",
            f"page {n_pages + 1:,} of {pull.path} cannot be read",
            error,
            secret,
            "nothing was loaded",
        ) from None


def _client(connection: ConnectionSettings, secret: str | None) -> "RESTClient":
    from dlt.sources.helpers.requests import Client
    from dlt.sources.helpers.rest_client.client import RESTClient

    session = Client(
        request_timeout=connection.timeout_seconds,
        raise_for_status=False,
        request_max_attempts=connection.tries,
        request_backoff_factor=0.5,
        request_max_retry_delay=_LONGEST_DELAY,
    ).session
    return RESTClient(
        base_url=str(connection.url),
        session=session,
        auth=_auth(connection, secret),
        headers={"Accept": "application/json"},
    )


def _auth(connection: ConnectionSettings, secret: str | None) -> "AuthBase | None":
    from dlt.sources.helpers.rest_client.auth import APIKeyAuth, BearerTokenAuth, HttpBasicAuth

    if secret is None:
        return None
    if connection.auth == "bearer":
        return BearerTokenAuth(token=secret)
    if connection.auth == "basic":
        return HttpBasicAuth(username=str(connection.user), password=secret)
    return APIKeyAuth(name=connection.auth_header, api_key=secret, location="header")


def _paginator(pull: PullSettings) -> "BasePaginator":
    from dlt.sources.helpers.rest_client import paginators

    if pull.pages == "link":
        return paginators.JSONLinkPaginator(next_url_path=str(pull.page_at))
    if pull.pages == "link_header":
        return paginators.HeaderLinkPaginator()
    if pull.pages == "token":
        return paginators.JSONResponseCursorPaginator(cursor_path=str(pull.page_at), cursor_param=pull.page_parameter)
    if pull.pages == "offset":
        return paginators.OffsetPaginator(
            limit=pull.page_size,
            offset_param=pull.page_parameter,
            limit_param=pull.page_size_parameter,
            total_path=None,
        )
    if pull.pages == "number":
        return paginators.PageNumberPaginator(
            base_page=pull.first_page, page_param=pull.page_parameter, total_path=None
        )
    return paginators.SinglePagePaginator()


def _exact(response: "Response", *_: object, **__: object) -> None:
    """Refuse an answer that is not a page, and read numbers with all their digits; dlt asks ``json`` for the rows."""
    from requests import HTTPError

    response.raise_for_status()
    if response.status_code != 200:
        raise HTTPError(f"{response.status_code} {response.reason}", response=response)
    response.json = lambda **_: read_json(response.content)  # type: ignore[method-assign]  # dlt offers no other place


def _require_items(name: str, pull: PullSettings, response: "Response") -> None:
    """dlt takes an answer without the list for one without rows: a wrong path would read nothing for ever."""
    from dlt.common.jsonpath import find_values

    answer = response.json()
    if not find_values(pull.items, answer):
        found = ", ".join(list(answer)[:20]) if isinstance(answer, dict) else "a list"
        raise PullError(
            f"{name}: each answer of {pull.path} must have {pull.items}: found {found or 'nothing'}; nothing "
            "was loaded. Check items"
        )


def _require_same_host(name: str, connection: ConnectionSettings, url: str) -> None:
    """The next page's URL is the API's word: it must not lead the secret to another host."""
    declared, found = urlsplit(str(connection.url)), urlsplit(url)
    if found.scheme and (found.scheme, found.netloc) != (declared.scheme, declared.netloc):
        raise PullError(
            f"{name}: the next page must be on {declared.scheme}://{declared.netloc}: found "
            f"{found.scheme}://{found.hostname}; nothing was loaded"
        )


def _since(cursor: str, look_back: int) -> str:
    if not look_back:
        return cursor
    start = earlier(cursor_of(cursor), look_back)
    text = str(start) if isinstance(start, int) or not hasattr(start, "isoformat") else start.isoformat()
    return text.replace("+00:00", "Z") if cursor.endswith("Z") else text


def _explained(
    name: str, connection: ConnectionSettings, pull: PullSettings, error: Exception, secret: str | None
) -> PullError:
    response = getattr(error, "response", None)
    if response is None:
        what = f"{urlsplit(str(connection.url)).netloc} does not answer after {connection.tries} tries"
        return fault(f"connection {name}", what, type(error).__name__, secret, "nothing was loaded. Check url")
    tried = f" after {connection.tries} tries" if response.status_code == 429 or response.status_code >= 500 else ""
    return fault(
        f"connection {name}",
        f"{pull.path} is answered with {response.status_code}{tried}",
        response.reason or "no reason",
        secret,
        f"nothing was loaded. {_WHY.get(response.status_code, 'Ask the owner of the API')}",
    )
