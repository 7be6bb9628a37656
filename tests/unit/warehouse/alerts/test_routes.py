"""The file of routes: addresses come from the environment or a file, and are never shown."""

from pathlib import Path

import pytest

from warehouse.alerts.routes import AlertOptions, Route, read_routes
from warehouse.errors import SettingError
from warehouse.settings import Settings

SECRET = "json://user:s3cret@hooks.example/path"


def _written(home: Settings, text: str) -> None:
    home.home.mkdir(parents=True, exist_ok=True)
    home.alert_routes.write_text(text)


def test_an_address_comes_from_the_environment_or_a_file(home: Settings, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("mailto://b.example\n")
    _written(
        home,
        "routes:\n  a: {url: {environment: A_URL}, severity: high, lenders: [bank]}\n"
        f"  b: {{url: {{file: {tmp_path / 'url'}}}}}\n",
    )

    found = read_routes(home, AlertOptions(), {"A_URL": SECRET})

    assert found == (Route("a", SECRET, "high", ("bank",)), Route("b", "mailto://b.example"))
    assert "s3cret" not in repr(found)


def test_without_a_file_there_is_no_route_unless_the_setting_names_one(home: Settings, tmp_path: Path) -> None:
    assert read_routes(home, AlertOptions(), {}) == ()
    with pytest.raises(SettingError, match="cannot be read: No such file"):
        read_routes(home, AlertOptions(alert_routes=tmp_path / "missing.yml"), {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"routes: {{a: {{url: '{SECRET}'}}}}", "never to the address itself"),
        ("routes: {a: {url: {environment: A_URL}, severity: medium}}", "severity"),
        ("routes: {a: {url: {}}}", "one of environment and file"),
        (f"routes: [{SECRET}", "must be YAML"),
    ],
)
def test_an_invalid_file_says_what_is_required_and_no_address(home: Settings, text: str, said: str) -> None:
    _written(home, text)

    with pytest.raises(SettingError, match=said) as error:
        read_routes(home, AlertOptions(), {"A_URL": SECRET})

    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("environment: OTHER", "route b: url: the environment variable OTHER must hold an address"),
        ("file: /nowhere", "route b: url: the file /nowhere cannot be read"),
    ],
)
def test_an_address_that_is_missing_is_the_problem_of_its_route_alone(home: Settings, url: str, said: str) -> None:
    """Renewing one team's token must not keep a severe alert from all others."""
    _written(home, f"routes: {{a: {{url: {{environment: A_URL}}}}, b: {{url: {{{url}}}}}}}")

    a, b = read_routes(home, AlertOptions(), {"A_URL": SECRET})

    assert (a.url, a.problem) == (SECRET, "")
    assert b.url == ""
    assert said in b.problem


def test_a_route_takes_its_lenders_and_severities_and_what_is_of_all_lenders() -> None:
    route = Route("a", SECRET, "high", ("bank",))

    taken = [route.takes(*each) for each in (("bank", "high"), ("bank", "low"), ("other", "high"), (None, "high"))]

    assert taken == [True, False, False, True]
