"""Databases, HTTP APIs and Kafka servers that have a lender's rows: the keys ``connections`` and ``pulls``."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from warehouse.lenders.keys import Key

ConnectionKind = Literal["postgresql", "mysql", "sql_server", "http", "kafka"]
PullEvery = Literal["15 minutes", "hour", "day"]
Pages = Literal["single", "link", "link_header", "token", "offset", "number"]
_Text = Annotated[str, Meta(pattern=r"\S")]
_Count = Annotated[int, Meta(ge=1)]
_SECRET = re.compile(r"pass|secret|token$|key$", re.IGNORECASE)
_OF_DATABASES = ("host", "port", "database")
_OF_HTTP = ("url", "auth", "auth_header")
_OF_KAFKA = ("brokers",)
_OF_PATHS = (
    *("path", "items", "parameters", "since_parameter", "pages", "page_at", "page_parameter", "page_size_parameter"),
    *("page_size", "first_page", "most_pages"),
)


@dataclass(frozen=True)
class ConnectionSettings:
    """A database server, an HTTP API or Kafka servers; secrets stay outside the file."""

    kind: Annotated[
        ConnectionKind, Key("one of postgresql, mysql, sql_server, http, kafka", "What the connection leads to.")
    ]
    host: Annotated[_Text | None, Key("the name of a host", "The host of a database.")] = None
    port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | None,
        Key("a whole number, 1 to 65535", "The port of a database; its kind's usual one unless given."),
    ] = None
    database: Annotated[_Text | None, Key("the name of a database", "The database on that host.")] = None
    user: Annotated[_Text | None, Key("a name", "Who reads: a user with the right to read, and no other.")] = None
    secret_from: Annotated[
        Annotated[str, Meta(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)$")] | None,
        Key(
            "env:NAME or file:/path",
            "The environment variable or file that has the password, token or key; it is read at each pull.",
        ),
    ] = None
    options: Mapping[
        str,
        Annotated[
            _Text,
            Key(
                "a text",
                "An option of the driver: sslmode: verify-full of PostgreSQL, ssl.ca.location: /path of Kafka.",
            ),
        ],
    ] = field(default_factory=dict)
    url: Annotated[
        Annotated[str, Meta(pattern=r"^https?://[^\s@?#]+$")] | None,
        Key("a URL such as https://api.bureau.example/v2/, without user, query or fragment", "The base of an API."),
    ] = None
    auth: Annotated[
        Literal["bearer", "basic", "header"] | None,
        Key("one of bearer, basic, header", "How the secret is sent to an API; basic also needs `user`."),
    ] = None
    auth_header: Annotated[
        _Text, Key("the name of a header", "The header that has the secret, for the auth header.")
    ] = "X-API-Key"
    brokers: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[^\s,/@]+:[0-9]+$")], ...],
        Key("a list of host:port such as [kafka.mybank.example:9093]", "The Kafka servers that are asked first."),
    ] = ()
    timeout_seconds: Annotated[
        Annotated[int, Meta(ge=1, le=3600)],
        Key("a whole number, 1 to 3600", "How long to wait for a connection, and for each answer of an API."),
    ] = 30
    tries: Annotated[
        Annotated[int, Meta(ge=1, le=20)],
        Key(
            "a whole number, 1 to 20",
            "How often an API is asked for a page that it answers with 429 or 5xx, or does not answer.",
        ),
    ] = 5

    def __post_init__(self) -> None:
        if self.kind == "http":
            self._require(("url",), absent=(*_OF_DATABASES, *_OF_KAFKA, "options"))
            self._require_safe_secret()
            return
        _require_no_secret("options", self.options)
        if self.kind == "kafka":
            self._require((), absent=(*_OF_DATABASES, *_OF_HTTP))
            self._require_safe_brokers()
        else:
            self._require(("host", "database", "user"), absent=(*_OF_HTTP, *_OF_KAFKA))
            if taken := {"connect_timeout", "login_timeout", "init_command"}.intersection(self.options):
                raise ValueError(
                    f"options must leave out what Loanlake gives the driver itself (timeout_seconds): found "
                    f"{', '.join(sorted(taken))}"
                )

    def _require(self, names: tuple[str, ...], *, absent: tuple[str, ...]) -> None:
        for name in names:
            if getattr(self, name) is None:
                raise ValueError(f"{name} must be given for the kind {self.kind}: found nothing")
        _require_defaults(self, absent, f"the kind {self.kind}")

    def _require_safe_secret(self) -> None:
        if (self.secret_from is None) != (self.auth is None):
            raise ValueError("auth and secret_from must be given together: found only one of them")
        if self.auth == "basic" and self.user is None:
            raise ValueError("user must be given for the auth basic: found nothing")
        address = urlsplit(self.url or "")
        if self.secret_from is not None and address.scheme == "http" and not _is_here(address.hostname or ""):
            raise ValueError(f"url must begin with https:// if a secret is sent to another machine: found {self.url}")

    def _require_safe_brokers(self) -> None:
        if not self.brokers:
            raise ValueError("brokers must be given for the kind kafka: found none")
        if (self.secret_from is None) != (self.user is None):
            raise ValueError("user and secret_from must be given together: found only one of them")
        protocol = self.options.get("security.protocol", "SASL_SSL").upper()
        far = [broker for broker in self.brokers if not _is_here(broker.rpartition(":")[0].strip("[]"))]
        if self.secret_from is not None and protocol != "SASL_SSL" and far:
            raise ValueError(
                f"security.protocol must be SASL_SSL if a secret is sent to another machine: found {protocol} for "
                f"{', '.join(far)}"
            )


@dataclass(frozen=True)
class PullSettings:
    """What is pulled for one entity, which names its raw table; a table or a path of an API."""

    connection: Annotated[_Text, Key("the name of one of `connections`", "Where the rows are.")]
    row_key: Annotated[
        Annotated[tuple[_Text, ...], Meta(min_length=1)],
        Key("a list of columns such as [loan_id]", "The columns that together name one row of the source."),
    ]
    cursor: Annotated[
        _Text | None,
        Key(
            "the name of a column",
            "A column that grows with each change, such as updated_at or an ascending id: only rows from its last "
            "value on are read. Not set: all rows are read each time, and changed ones are loaded.",
        ),
    ] = None
    look_back: Annotated[
        Annotated[int, Meta(ge=0)],
        Key(
            "a whole number, at least 0",
            "Rows up to this much before the last cursor value are read again, for transactions that were committed "
            "late: seconds of a time, days of a date, else the number itself.",
        ),
    ] = 0
    table: Annotated[_Text | None, Key("a table or view as schema.table", "What is read from a database.")] = None
    columns: Annotated[
        tuple[_Text, ...], Key("a list of columns", "The columns that are read; all of them unless given.")
    ] = ()
    path: Annotated[
        Annotated[str, Meta(pattern=r"^(?!.*(://|^//))[^\s?#]+$")] | None,
        Key("a path below the connection's url, without query or fragment", "What is read from an API."),
    ] = None
    items: Annotated[
        _Text, Key("a JSON path such as data.reports", "Where an answer has its list of rows; $: it is the list.")
    ] = "$"
    parameters: Mapping[str, Annotated[_Text, Key("a text", "A query parameter of each request.")]] = field(
        default_factory=dict
    )
    since_parameter: Annotated[
        _Text | None,
        Key("the name of a query parameter", "It gets the last cursor value; not set: the API is always read whole."),
    ] = None
    pages: Annotated[
        Pages,
        Key(
            "one of single, link, link_header, token, offset, number",
            "How an API continues: by a URL in the answer or in its header Link, a token that goes into the next "
            "request, an offset, or the number of a page.",
        ),
    ] = "single"
    page_at: Annotated[
        _Text | None, Key("a JSON path such as paging.next", "Where an answer has the next URL or token.")
    ] = None
    page_parameter: Annotated[
        _Text | None, Key("the name of a query parameter", "It gets the token, the offset or the number of the page.")
    ] = None
    page_size_parameter: Annotated[
        _Text | None, Key("the name of a query parameter", "It gets `page_size`, with `pages: offset`.")
    ] = None
    page_size: Annotated[_Count, Key("a whole number, at least 1", "Rows of a page, with `pages: offset`.")] = 100
    first_page: Annotated[
        Annotated[int, Meta(ge=0)], Key("a whole number, at least 0", "The first page, with `pages: number`.")
    ] = 1
    most_pages: Annotated[
        _Count, Key("a whole number, at least 1", "A pull of more pages is refused: the API may never end.")
    ] = 10_000

    def __post_init__(self) -> None:
        if (self.table is None) == (self.path is None):
            raise ValueError("table must be given for a database, or path for an API: found both, or none")
        if self.table is not None:
            _require_defaults(self, _OF_PATHS, "a table")
            if self.columns and (missing := {*self.row_key, *filter(None, [self.cursor])} - {*self.columns}):
                raise ValueError(f"columns must have the row key and the cursor: missing {', '.join(sorted(missing))}")
            return
        _require_defaults(self, ("columns",), "a path")
        _require_no_secret("parameters", self.parameters)
        needs: Mapping[Pages, tuple[str, ...]] = {
            "link": ("page_at",),
            "token": ("page_at", "page_parameter"),
            "offset": ("page_parameter", "page_size_parameter"),
            "number": ("page_parameter",),
        }
        for name in needs.get(self.pages, ()):
            if getattr(self, name) is None:
                raise ValueError(f"{name} must be given for pages: {self.pages}: found nothing")
        if self.since_parameter is not None and self.cursor is None:
            raise ValueError("cursor must be given for a since_parameter: found nothing")

    @property
    def is_of_table(self) -> bool:
        """Whether it reads a database."""
        return self.table is not None


def require_known_connections(connections: Mapping[str, ConnectionSettings], pulls: Mapping[str, PullSettings]) -> None:
    """Raise ValueError unless each pull names a connection of its kind."""
    for entity, pull in pulls.items():
        found = connections.get(pull.connection)
        if found is None:
            raise ValueError(
                f"pulls.{entity}.connection must name one of {', '.join(connections) or 'no connections'}: found "
                f"{pull.connection!r}"
            )
        if found.kind == "kafka":
            raise ValueError(f"pulls.{entity} must not read Kafka: declare its topic under `streams`")
        if pull.is_of_table == (found.kind == "http"):
            raise ValueError(
                f"pulls.{entity} must have a {'path' if found.kind == 'http' else 'table'}, for its connection is "
                f"{found.kind}: found a {'table' if pull.is_of_table else 'path'}"
            )


def _require_no_secret(key: str, values: Mapping[str, str]) -> None:
    found = [name for name in values if _SECRET.search(name)]
    if found:
        raise ValueError(f"{key} must hold no secret, which `secret_from` names: found {', '.join(found)}")


def _require_defaults(found: object, names: tuple[str, ...], what: str) -> None:
    fields = type(found).__dataclass_fields__  # type: ignore[attr-defined]  # both are dataclasses
    for name in names:
        default = fields[name].default_factory() if callable(fields[name].default_factory) else fields[name].default
        if getattr(found, name) != default:
            raise ValueError(f"{name} must not be given for {what}: found {getattr(found, name)!r}")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
