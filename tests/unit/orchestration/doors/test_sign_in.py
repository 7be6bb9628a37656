"""Links work once and for minutes, sessions for a day; neither can be read from the home."""

import os
import time
from pathlib import Path

import pytest

from orchestration.doors import SignIn, door_address, sign_in_url
from orchestration.doors.sign_in import SESSION_SECONDS, TOKEN_SECONDS
from warehouse.errors import NotFoundError
from warehouse.settings import Settings


def age(directory: Path, seconds: float) -> None:
    for path in directory.iterdir():
        os.utime(path, (time.time() - seconds,) * 2)


def test_a_token_begins_one_session(home: Settings) -> None:
    sign_in = SignIn(home)
    token = sign_in.new_token()

    first, second = sign_in.redeem(token), sign_in.redeem(token)

    assert first is not None
    assert sign_in.knows(first)
    assert second is None


def test_a_token_ends_after_minutes(home: Settings) -> None:
    sign_in = SignIn(home)
    token = sign_in.new_token()
    age(home.doors / "links", TOKEN_SECONDS + 1)

    assert sign_in.redeem(token) is None


def test_a_session_ends_after_a_day(home: Settings) -> None:
    sign_in = SignIn(home)
    session = sign_in.redeem(sign_in.new_token()) or ""
    age(home.doors / "sessions", SESSION_SECONDS + 1)

    assert not sign_in.knows(session)


@pytest.mark.parametrize("guess", ["", ".", "..", "../links", "x" * 5000, "\0"])
def test_a_guess_is_neither_token_nor_session(home: Settings, guess: str) -> None:
    sign_in = SignIn(home)
    sign_in.redeem(sign_in.new_token())

    assert not sign_in.knows(guess)
    assert sign_in.redeem(guess) is None


def test_all_sessions_and_links_can_be_ended(home: Settings) -> None:
    sign_in = SignIn(home)
    session, unused = sign_in.redeem(sign_in.new_token()) or "", sign_in.new_token()

    assert sign_in.end_all() == 1
    assert not sign_in.knows(session)
    assert sign_in.redeem(unused) is None


def test_what_lies_in_the_home_signs_nobody_in(home: Settings) -> None:
    sign_in = SignIn(home)
    session, token = sign_in.redeem(sign_in.new_token()) or "", sign_in.new_token()

    names = {path.name for path in home.doors.rglob("*")}

    assert not {session, token} & names
    assert not any(sign_in.knows(name) or sign_in.redeem(name) for name in names)


def test_two_homes_have_cookies_of_their_own(home: Settings, tmp_path: Path) -> None:
    """Cookies know no ports: the second `loanlake up` of a machine would sign the first one's people out."""
    other = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path / "other")})

    assert SignIn(home).cookie != SignIn(other).cookie


def test_a_link_leads_to_the_doors_that_are_open(home: Settings) -> None:
    with door_address(home, "http://127.0.0.1:3000"):
        assert sign_in_url(home).startswith("http://127.0.0.1:3000/-/sign-in?token=")

    with pytest.raises(NotFoundError, match="`loanlake up` does not run in"):
        sign_in_url(home)
