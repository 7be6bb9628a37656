"""The body of ``POST /v1/batches``: rows as JSON or CSV, or the name of a lake table.

Each row is checked by the schema of a score request; an invalid row keeps its place, with every violation. Only a body
that is not a list of rows is refused as a whole.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from ml.decisions.problems import Violation
from serving.deployed.deployment_schema import DeploymentSchema
from serving.deployed.score_request import application_list_schema
from serving.http.body_schema import MOST_SUGGESTED, BodySchema, Field, invalid, not_a_field
from serving.http.clock import future_violation
from serving.http.json_body import JSON, decode_body, media_type
from serving.http.problems import InvalidRequest
from warehouse.batches import SentRow
from warehouse.decision_log.json_text import dump_values
from warehouse.errors import FormatError
from warehouse.values.formats import BLANKS, read_boolean, read_date, read_id, read_number, read_time

CSV = "text/csv"
#: Accepted media types.
MEDIA_TYPES = (JSON, CSV)


class TableRequest(msgspec.Struct, frozen=True):
    """A lake table of features, or of applications; ``reasons``: whether features that are not approved get theirs."""

    table: str
    of_applications: bool = False
    reasons: bool = False


TABLE_SCHEMA = BodySchema(
    "BatchOfTable",
    (
        Field(
            name="table",
            type=Annotated[str, msgspec.Meta(min_length=3, max_length=200)],
            rule="the name of a lake table, schema.table",
            description="A table with application_id and the model's features, or a table of applications (see rows).",
            example="features.ftr_application_v2",
        ),
        Field(
            name="rows",
            type=Literal["features", "applications"],
            rule="one of features, applications",
            required=False,
            description="What a row of the table is; features by default. Applications are copied now, as if "
            "they had been sent: columns are the fields of a score request, others are ignored.",
            example="features",
        ),
        Field(
            name="reasons",
            type=bool,
            rule="true or false",
            required=False,
            description="Whether rows of features that are not approved get reasons, at some milliseconds each. "
            "Applications always get reasons.",
            example=False,
        ),
    ),
)


def read_body(
    body: bytes, content_type: str | None, schema: DeploymentSchema, *, most_rows: int
) -> "TableRequest | list[Any]":
    """The body's table or rows; raises InvalidRequest for anything else, none, or more than ``most_rows``."""
    if media_type(content_type, *MEDIA_TYPES) == CSV:
        return list(_of_csv(body, schema, most_rows))
    value = decode_body(body, content_type)
    if isinstance(value, dict) and "table" in value:
        found = TABLE_SCHEMA.validate(value)
        return TableRequest(found["table"], found["rows"] == "applications", bool(found["reasons"]))
    schema_of_list = application_list_schema(most_rows, " (or name a lake table, in the field table)")
    rows: list[Any] = schema_of_list.validate(value)["applications"]
    return rows


def checked_rows(rows: Iterable[Any], schema: DeploymentSchema, now: datetime) -> Iterator[SentRow]:
    """Each row ready to be scored, or with its problem, numbered from 1."""
    n_refused = 0
    for number, row in enumerate(rows, start=1):
        try:
            if isinstance(row, InvalidRequest):
                raise row
            values = schema.validate(row, suggests=n_refused < MOST_SUGGESTED).champion
            late = values["decided_at"] is not None and future_violation("decided_at", values["decided_at"], now)
            if late:
                raise invalid((late,))
        except InvalidRequest as problem:
            n_refused += 1
            yield SentRow(
                row_number=number,
                application_id=_id(row, "application_id"),
                borrower_id=_id(row, "borrower_id"),
                problem=problem.document().to_json(),
            )
        else:
            yield SentRow(
                row_number=number,
                application_id=values["application_id"],
                borrower_id=values["borrower_id"],
                request=dump_values(values),
            )


#: Field type → parser of its text, as in a lender's file.
_READERS: dict[Any, Callable[[str], Any]] = {
    int: read_number,
    float: read_number,
    bool: read_boolean,
    date: read_date,
    datetime: read_time,
}


def _value(text: str, field: Field | None) -> Any:
    """A CSV field, parsed by its format (empty: null); unreadable text stays, and its rule refuses it."""
    bare = text.strip(BLANKS)
    if not bare:
        return None
    accepted = (field.type, *get_args(field.type)) if field is not None else ()
    for reads in (_READERS[each] for each in accepted if each in _READERS):
        try:
            return reads(bare)
        except FormatError:
            return text
    # only listed values are stripped of blanks; other texts are read with the request
    return bare if field is not None and get_origin(field.type) is Literal else text


def _of_csv(body: bytes, schema: DeploymentSchema, most_rows: int) -> Iterator[Any]:
    """Rows by the header's names; InvalidRequest for a line with another number of fields."""
    _require_csv(body)
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"CSV must be UTF-8: byte {error.start} of the body is not") from None
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(lines, [])
        if len(header) == 1:
            _require_commas(header[0])
        names = [name.strip() for name in header]
        if not names or len(set(names)) != len(names) or "" in names:
            raise InvalidRequest("CSV must begin with a line of distinct field names")
        _require_fields(names, schema)
        n_rows = 0
        for line in lines:
            if not line:
                continue  # an empty line, as after the last
            n_rows += 1
            if n_rows > most_rows:
                raise _wrong_number(most_rows, f"more than {most_rows}")
            if len(line) == len(names):
                yield {name: _value(text, schema.fields.get(name)) for name, text in zip(names, line, strict=True)}
            else:
                yield InvalidRequest(f"The line must have {len(names)} fields as its header: found {len(line)}")
    except csv.Error as error:
        raise InvalidRequest(f"Malformed CSV at line {lines.line_num}: {error}") from None
    if not n_rows:
        raise _wrong_number(most_rows, "none")


def _require_csv(body: bytes) -> None:
    # file readers, which no other body needs
    from warehouse.readers.text_stream import other_format

    is_gzip = body.startswith(b"\x1f\x8b")
    found = "a gzipped file" if is_gzip else other_format(body[:4096], io.BytesIO(body))
    if found:
        kind = found.partition(":")[0]
        raise InvalidRequest(f"The body must be a CSV file (UTF-8, commas, a header): it is {kind}. Send it as CSV")


def _require_commas(header: str) -> None:
    from warehouse.readers.csv_head import other_separator

    problem = other_separator(header)
    if problem:
        raise InvalidRequest(f"The body must be a CSV file (UTF-8, commas, a header): {problem}")


def _require_fields(names: Sequence[str], schema: DeploymentSchema) -> None:
    missing = tuple(
        Violation(field=name, rule="is required: not in the header")
        for name in schema.fields
        if schema.is_required(name) and name not in names
    )
    unknown = tuple(
        not_a_field(name, schema.fields, of="field of this request") for name in names if name not in schema.fields
    )
    if unknown or missing:
        raise invalid((*unknown[:MOST_SUGGESTED], *missing))


def _wrong_number(most_rows: int, found: str) -> InvalidRequest:
    return InvalidRequest(
        f"A batch must hold 1 to {most_rows} rows (LOANLAKE_QUEUED_BATCH_ROWS): found {found}",
        (Violation(field="applications", rule=f"a list of 1 to {most_rows} applications"),),
    )


def _id(row: Any, name: str) -> str | None:
    """An id as far as readable, also of a number: erasure finds persons by it."""
    value = row.get(name) if isinstance(row, dict) else None
    if isinstance(value, str):
        with suppress(FormatError):
            return read_id(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return str(value)
    return value[:200] if isinstance(value, str) else None
