"""``loanlake key`` and ``loanlake serve`` as scripts and people use them."""

from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from serving.access.keys import KeyRing, KeyStore
from serving.commands import create_key, limit_key, list_keys, revoke_key, rotate_key, serve
from warehouse.errors import NotFoundError
from warehouse.settings import Settings


def test_only_the_key_goes_to_standard_output(home: Settings) -> None:
    """``KEY=$(loanlake key create demo)`` must give a key that works."""
    result = CliRunner().invoke(create_key, ["demo"])

    found = KeyRing(KeyStore(home.keys), poll_seconds=0).find(result.stdout.strip())
    assert result.exit_code == 0
    assert found is not None
    assert found.scopes == {"score"}
    assert "cannot be shown again" in result.stderr


def test_scopes_and_expiry_can_be_chosen(home: Settings) -> None:
    bound = ["--lender", "cards", "--lender", "cars"]
    CliRunner().invoke(create_key, ["demo", "--scope", "score", "--scope", "metrics", "--expires-days", "30", *bound])

    (found,) = KeyStore(home.keys).all()
    assert (found.scopes, found.lenders) == ({"score", "metrics"}, {"cards", "cars"})
    assert found.expires_at is not None
    assert (found.expires_at - found.created_at).days == 30


def test_the_list_shows_states_and_never_a_secret(home: Settings) -> None:
    secret = CliRunner().invoke(create_key, ["demo"]).stdout.strip().split("_")[2]
    (found,) = KeyStore(home.keys).all()
    CliRunner().invoke(revoke_key, [found.key_id])

    listed = CliRunner().invoke(list_keys, []).stdout

    assert listed.splitlines()[1].split()[:3] == [found.key_id, "demo", "revoked"]
    assert secret not in listed
    assert found.secret_sha256 not in listed


def test_a_rotation_prints_the_new_key_alone(home: Settings) -> None:
    """``KEY=$(loanlake key rotate ID)`` must give a key that works, beside the old one for a while."""
    old = CliRunner().invoke(create_key, ["demo"]).stdout.strip()

    result = CliRunner().invoke(rotate_key, [old.split("_")[1], "--overlap-hours", "1"])

    ring = KeyRing(KeyStore(home.keys), poll_seconds=0)
    found = [ring.find(text) for text in (old, result.stdout.strip())]
    assert all(one is not None and one.state(datetime.now(UTC)) == "active" for one in found)
    assert "ends in 1 hours" in result.stderr


def test_a_limit_is_set_and_taken_back(home: Settings) -> None:
    key_id = CliRunner().invoke(create_key, ["demo", "--rate-limit", "50"]).stdout.split("_")[1]

    shown = [CliRunner().invoke(limit_key, [key_id, limit]).stdout for limit in ("6000", "default")]

    assert [line.split(": ")[-1].strip() for line in shown] == ["6000.", "default."]


def test_no_keys_are_no_table(home: Settings) -> None:
    result = CliRunner().invoke(list_keys, [])

    assert (result.exit_code, result.stdout) == (0, "")
    assert "loanlake key create" in result.stderr


def test_a_key_that_does_not_exist_cannot_be_revoked(home: Settings) -> None:
    with pytest.raises(NotFoundError, match="loanlake key list"):
        CliRunner().invoke(revoke_key, ["nobody"], catch_exceptions=False)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (create_key, ["demo", "--scope", "root"]),
        (create_key, ["demo", "--lender", "my cards"]),
        (create_key, []),
        (create_key, ["demo", "--rate-limit", "0"]),
        (limit_key, ["x", "many"]),
        (serve, ["--port", "99999"]),
        (serve, ["--workers", "0"]),
    ],
)
def test_wrong_usage_exits_with_2(home: Settings, command: object, arguments: list[str]) -> None:
    assert CliRunner().invoke(command, arguments).exit_code == 2  # type: ignore[arg-type]
