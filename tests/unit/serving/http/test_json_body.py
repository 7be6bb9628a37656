"""Bodies that a lenient decoder would guess about are refused, each with what is wrong."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.http.json_body import decode_body
from serving.http.problems import InvalidRequest, UnsupportedMediaType

JSON = "application/json"
MANY_NAMES = b'{"a": 1, ' + b", ".join(b'"%d": 1' % number for number in range(200_000)) + b', "a": 3}'


@pytest.mark.parametrize("content_type", [JSON, "application/json; charset=utf-8", "Application/JSON"])
def test_a_json_object_is_decoded(content_type: str) -> None:
    assert decode_body(b'{"a": [1, 2.5, null, true, "x"]}', content_type) == {"a": [1, 2.5, None, True, "x"]}


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"]
)
def test_a_body_not_declared_as_json_is_refused(content_type: str | None) -> None:
    """curl without a header declares a form: the answer must say which header to send."""
    with pytest.raises(UnsupportedMediaType, match="Content-Type: application/json"):
        decode_body(b"{}", content_type)


def test_a_compressed_body_is_refused_as_what_it_is() -> None:
    with pytest.raises(UnsupportedMediaType, match="found gzip"):
        decode_body(gzip.compress(b"{}", mtime=0), "application/json")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "found nothing"),
        (b"  \n", "found nothing"),
        (b'{"a" 1}', "line 1, column 6"),
        (b'{"a": 1,\n "b": }', "line 2, column 7"),
        (b'{"a": 1} {}', "line 1, column 10: extra data"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": 1, "b": 2, "a": 3}', "names 'a' twice"),
        (b'{"x": {"a": 1, "a": 1}}', "names 'a' twice"),
        # looking each name up among all took minutes
        pytest.param(MANY_NAMES, "names 'a' twice", id="a name twice among many"),
        (b'{"\\ud800": 1, "\\ud800": 1}', r"names '\\ud800' twice"),
        (b'{"a": "\\uD800"}', "without its other half"),
        (b'{"\\udc00": 1}', "without its other half"),
        (b"\xff\xfe{}", "byte 0"),
        (b'{"a": ' + b"9" * 5000 + b"}", "thousands of digits"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_body_that_is_not_one_unambiguous_value_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        decode_body(body, JSON)


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert decode_body(b'["\\ud83d\\ude00"]', JSON) == ["\U0001f600"]


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_problem(body: bytes) -> None:
    """Prevents a decoder error that nobody foresaw from becoming a 500."""
    try:
        decode_body(body, JSON)
    except (InvalidRequest, UnsupportedMediaType) as problem:  # the first bytes of gzip are another type
        problem.detail.encode()


PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "é", "long name"]), PLAIN), max_size=5), st.booleans())
def test_flat_objects_are_read_alike_by_either_decoder(members: list[tuple[str, object]], is_ascii: bool) -> None:
    """Prevents the shorter way from taking what the strict one refuses, or from reading another value."""
    text = ", ".join(
        f"{json.dumps(name, ensure_ascii=is_ascii)}: {json.dumps(value, ensure_ascii=is_ascii)}"
        for name, value in members
    )
    names = [name for name, _ in members]

    def decoded(body: str) -> object:
        try:
            return repr(decode_body(body.encode("utf-8", "surrogatepass"), JSON))
        except InvalidRequest as problem:
            return problem.detail

    flat, strict = decoded(f"{{{text}}}"), decoded(f"[{{{text}}}]")

    assert f"[{flat}]" == strict or (flat == strict and (len(set(names)) < len(names) or "\\" in text))


@pytest.mark.parametrize("text", ["1e-400", "12E-0500", "-1.5e-330", f"0.{'0' * 330}1", "0.0000000001e-320"])
@pytest.mark.parametrize("body", ['{"a": %s}', '{"a": [%s]}', '{"a": "\\u0061", "b": %s}'])
def test_a_number_that_would_vanish_is_refused(body: str, text: str) -> None:
    """A decoder makes 0 of what a double cannot hold; a file that says it has its row in quarantine."""
    with pytest.raises(InvalidRequest, match=r"A number must be .* 0 only where 0 is written, .*: found"):
        decode_body((body % text).encode(), JSON)


@pytest.mark.parametrize(
    "text", ["0e-400", "0.000", "1e-300", "-2.225073858507e-311", "1.5e-10", '"1e-400"', '"550e8400-e29b-41d4"']
)
def test_a_small_number_or_a_text_like_one_is_taken(text: str) -> None:
    assert decode_body(b'{"a": %s}' % text.encode(), JSON) == {"a": json.loads(text)}
