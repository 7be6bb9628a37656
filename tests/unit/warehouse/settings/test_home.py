"""The environment changes where a home is, and a value that cannot be used is refused by name."""

from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy

from warehouse.errors import SettingError
from warehouse.settings import REPOSITORY, Settings
from warehouse.settings.home import memory_bytes
from warehouse.settings.places import Place, Places


def test_the_default_home_does_not_depend_on_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else dbt, run in warehouse/, would make a second lake."""
    monkeypatch.chdir(tmp_path)

    settings = Settings.from_environment({})

    assert settings.home == REPOSITORY / "var"


def test_the_home_may_be_given_relative_and_with_a_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    settings = Settings.from_environment({"LOANLAKE_HOME": "~/lender"})

    assert settings.home == tmp_path / "lender"


def test_all_state_lies_under_the_home(tmp_path: Path) -> None:
    settings = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path)})

    places = [getattr(settings, name) for name, value in vars(Places).items() if isinstance(value, Place)]

    assert len(places) > 20
    assert [place for place in places if not place.is_relative_to(tmp_path)] == []


def test_a_catalog_of_another_kind_is_refused() -> None:
    with pytest.raises(SettingError, match=r"LOANLAKE_CATALOG must be 'postgres:'.*found 'mysql'"):
        Settings.from_environment({"LOANLAKE_CATALOG": "mysql:host=db"})


@pytest.mark.parametrize("text", ["0", "-1", "soon", "inf", "nan"])
def test_a_lease_time_that_is_no_positive_number_is_refused(text: str) -> None:
    with pytest.raises(
        SettingError, match=f"LOANLAKE_LEASE_SECONDS must be a number of seconds above 0: found '{text}'"
    ):
        Settings.from_environment({"LOANLAKE_LEASE_SECONDS": text})


@pytest.mark.parametrize(("text", "found"), [("0.5", "'0.5'"), ("0", "'0'"), ("soon", "'soon'")])
def test_a_log_that_keeps_less_than_the_life_of_a_key_is_refused(text: str, found: str) -> None:
    """Callers count on an Idempotency-Key for a day: the decision it stands for must not go before."""
    with pytest.raises(SettingError, match=rf"LOANLAKE_DECISION_LOG_DAYS must be .*: found {found}"):
        Settings.from_environment({"LOANLAKE_DECISION_LOG_DAYS": text})

    assert Settings.from_environment({"LOANLAKE_DECISION_LOG_DAYS": "1"}).decision_log_days == 1


def test_a_moment_is_read_as_utc_whatever_its_zone() -> None:
    moments = {
        text: Settings.from_environment({"LOANLAKE_SKEW_SINCE": text}).skew_since
        for text in ("2026-03-01", "2026-03-01T09:00", "2026-03-01T10:00+01:00")
    }

    assert list(moments.values()) == [datetime(2026, 3, 1), datetime(2026, 3, 1, 9), datetime(2026, 3, 1, 9)]


def test_a_moment_that_is_none_is_refused() -> None:
    with pytest.raises(SettingError, match=r"LOANLAKE_SKEW_SINCE must be an ISO 8601 time.*'last week'"):
        Settings.from_environment({"LOANLAKE_SKEW_SINCE": "last week"})


def test_training_may_take_a_share_of_memory() -> None:
    whole, none = (
        Settings.from_environment({"LOANLAKE_TRAINING_MEMORY_SHARE": text}).training_bytes for text in ("1", "0")
    )

    assert none == 0
    assert Settings.from_environment({}).training_bytes == whole // 2


def test_a_query_may_take_a_share_of_memory_and_never_none() -> None:
    half = Settings.from_environment({"LOANLAKE_QUERY_MEMORY_SHARE": "0.5"}).query_bytes

    assert Settings.from_environment({}).query_bytes == pytest.approx(1.6 * half)
    with pytest.raises(SettingError, match=r"LOANLAKE_QUERY_MEMORY_SHARE must be a share .* within 0.01..1: found '0'"):
        Settings.from_environment({"LOANLAKE_QUERY_MEMORY_SHARE": "0"})


@pytest.mark.parametrize("text", ["half", "1.5", "nan"])
def test_a_share_of_memory_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=rf"LOANLAKE_TRAINING_MEMORY_SHARE must be a share .*'{text}'"):
        Settings.from_environment({"LOANLAKE_TRAINING_MEMORY_SHARE": text})


def test_what_becomes_of_an_erased_person_is_one_of_two_things() -> None:
    assert Settings.from_environment({"LOANLAKE_ERASURE": "pseudonymise"}).erasure == "pseudonymise"
    with pytest.raises(SettingError, match="LOANLAKE_ERASURE must be one of delete, pseudonymise: found 'hide'"):
        Settings.from_environment({"LOANLAKE_ERASURE": "hide"})


def test_a_key_that_could_be_guessed_is_refused_without_showing_it() -> None:
    with pytest.raises(
        SettingError, match=r"LOANLAKE_ERASURE_KEY must be .* of at least 32 characters: found 5 "
    ) as refused:
        Settings.from_environment({"LOANLAKE_ERASURE_KEY": "aaaaa"})

    assert "aaaaa" not in str(refused.value)


def test_a_deployment_that_cannot_be_read_is_named_with_what_helps(home: Settings) -> None:
    home.deployment.parent.mkdir(parents=True)
    home.deployment.write_text('{"model_name": ')

    with pytest.raises(SettingError, match=r"deployment\.json must name the source .* or set LOANLAKE_SOURCE"):
        home.active_source()


@pytest.mark.parametrize("name", ["a?b", "a%41"])
def test_a_home_that_libraries_would_take_for_another_is_refused(tmp_path: Path, name: str) -> None:
    """Dagster would make its databases in another place, or end in a traceback."""
    with pytest.raises(SettingError, match="LOANLAKE_HOME must be a path without '\\?' and '%'"):
        Settings.from_environment({"LOANLAKE_HOME": str(tmp_path / name)})


@pytest.mark.parametrize("name", ["a#b", "o'hara", "a b", "é;&=@:"])
def test_mlflows_store_is_in_the_home_whatever_its_name(tmp_path: Path, name: str) -> None:
    settings = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path / name)})
    settings.mlflow_database.parent.mkdir(parents=True)

    with sqlalchemy.create_engine(settings.mlflow_uri).begin() as connection:
        connection.execute(sqlalchemy.text("create table t (a int)"))

    assert settings.mlflow_database.exists()


def test_a_dev_lake_is_named_for_the_user_unless_they_say_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "CORP\\Ada.L")

    assert Settings.from_environment({}).dev_name == "corp_ada_l"
    assert Settings.from_environment({"LOANLAKE_DEV_NAME": "trial_2"}).dev_name == "trial_2"
    with pytest.raises(SettingError, match=r"must be 1 to 40 small letters, digits and underscores: found '\.\./x'"):
        Settings.from_environment({"LOANLAKE_DEV_NAME": "../x"})


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    limit, none = tmp_path / "memory.max", tmp_path / "without"
    limit.write_text("1073741824\n")
    none.write_text("max\n")

    assert memory_bytes((limit,)) == 2**30
    assert memory_bytes((none, tmp_path / "absent")) == memory_bytes(())
