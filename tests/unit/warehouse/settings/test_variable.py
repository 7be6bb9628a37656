"""A variable says what it must be, and shows no secret."""

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from msgspec import Meta

from warehouse.errors import SettingError
from warehouse.settings import Variable, listed, read
from warehouse.settings.variable import declared, masked


@dataclass(frozen=True)
class _Limits:
    rows: Annotated[int, Meta(ge=1, le=10_000), Variable("Most rows.", unit="rows")] = 500
    seconds: Annotated[float, Meta(gt=0), Variable("Longest wait.", unit="seconds")] = 1.0
    word: Annotated[Literal["auto", "never"], Variable("Which.")] = "auto"
    is_open: Annotated[bool, Variable("Whether.", "LOANLAKE_DOOR", words={"shut": False, "open": True})] = False
    names: Annotated[tuple[str, ...], Variable("Who.", must="a list of names", parse=listed("[a-z]+"))] = ()
    key: Annotated[str | None, Meta(min_length=8), Variable("Key.", secret=True)] = None


def test_what_is_set_is_read_and_the_rest_keeps_its_default() -> None:
    environment = {
        "LOANLAKE_ROWS": "20",
        "LOANLAKE_DOOR": "open",
        "LOANLAKE_NAMES": "ann, bob ann",
        "LOANLAKE_WORD": "",
    }

    assert _Limits(**read(_Limits, environment)) == _Limits(rows=20, is_open=True, names=("ann", "bob"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ROWS", "0", "must be a whole number of rows within 1..10,000: found '0'"),
        ("ROWS", "1.5", "must be a whole number of rows within 1..10,000: found '1.5'"),
        ("SECONDS", "nan", "must be a number of seconds above 0: found 'nan'"),
        ("SECONDS", "inf", "must be a number of seconds above 0: found 'inf'"),
        ("WORD", "always", "must be one of auto, never: found 'always'"),
        ("DOOR", "ajar", "must be one of shut, open: found 'ajar'"),
        ("NAMES", "ann,b0b", "must be a list of names: found 'ann,b0b'"),
        ("KEY", "hunter2", "must be a text of at least 8 characters: found 7 characters"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_what_is_required(name: str, text: str, message: str) -> None:
    with pytest.raises(SettingError) as refused:
        read(_Limits, {f"LOANLAKE_{name}": text})

    assert str(refused.value) == f"LOANLAKE_{name} {message}"


def test_values_are_shown_as_they_are_written() -> None:
    values = _Limits(rows=20, is_open=True, names=("ann", "bob"), key="a secret")

    shown = [variable.shown(getattr(values, variable.field)) for variable in declared(_Limits)]

    assert shown == ["20", "1", "auto", "open", "ann,bob", "***"]


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://lake:s3/cr@et@db/lake",
        "host=db password = s3cret dbname=lake",
        "host=db sslpassword='s3 \\' cret'",
        "s3://bucket/lake?secret_access_key=s3cret&region=eu",
        "https://user:s3cret@mlflow.lender.example",
    ],
)
def test_passwords_inside_a_value_are_masked(text: str) -> None:
    assert "s3" not in masked(text).replace("s3://", "")
    assert "cret" not in masked(text).replace("secret_access_key", "")
