"""Files of a team: what one machine pushes, the others have; of two changes neither is lost."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from warehouse.errors import TeamError
from warehouse.settings import Settings
from warehouse.team import files, pull, push, restore, server, shared_turn, shared_turn_if_free


@pytest.fixture
def other(team: Settings, tmp_path: Path) -> Settings:
    """Another machine of the same team."""
    return replace(team, home=tmp_path / "other")


def write(settings: Settings, name: str, text: str) -> Path:
    path = settings.home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_pushed_file_is_on_the_other_machine_after_a_pull(team: Settings, other: Settings) -> None:
    push(team, write(team, "deployment/cards/deployment.json", "one"), write(team, "bundles/m/1/model.onnx", "model"))

    n_pulled = pull(other)

    assert n_pulled == 2
    assert (other.home / "deployment/cards/deployment.json").read_text() == "one"
    assert (other.home / "bundles/m/1/model.onnx").read_text() == "model"
    assert pull(other) == 0


def test_a_file_that_is_gone_when_its_folder_is_pushed_goes_everywhere(team: Settings, other: Settings) -> None:
    path = write(team, "pages/cards/models.json", "page")
    push(team, path)
    pull(other)

    path.unlink()
    push(team, path.parent)
    pull(other)

    assert not (other.home / "pages/cards/models.json").exists()


def test_a_turn_begins_with_what_the_team_has(team: Settings, other: Settings) -> None:
    """A change that a killed process had not pushed must not overwrite a later one of another machine."""
    lock, path = team.home / "turn.lock", write(team, "deployment/cards/versions.json", "first")
    push(team, path)
    path.write_text("never pushed")

    with shared_turn(team, lock, path):
        found = path.read_text()
        path.write_text("second")

    restore(other, other.home / "deployment/cards/versions.json")
    assert found == "first"
    assert (other.home / "deployment/cards/versions.json").read_text() == "second"


def test_what_a_turn_could_not_push_is_taken_back(
    team: Settings, other: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents a machine from serving a deployment that the team does not have."""
    lock, path = team.home / "turn.lock", write(team, "deployment/cards/deployment.json", "served")
    push(team, path)
    monkeypatch.setattr(files, "_push", lost_connection)

    with pytest.raises(TeamError), shared_turn(team, lock, path):
        path.write_text("never pushed")
    pull(team)

    assert path.read_text() == "served"


def lost_connection(*_: object) -> None:
    raise TeamError("the server went away")


def test_files_from_before_a_home_joined_the_team_stay_and_go_along(team: Settings, other: Settings) -> None:
    path = write(team, "serving/keys.sqlite", "keys")

    with shared_turn(team, team.home / "keys.lock", path):
        assert path.read_text() == "keys"

    pull(other)
    assert (other.home / "serving/keys.sqlite").read_text() == "keys"


def test_two_machines_take_turns(team: Settings, other: Settings) -> None:
    """Each adds a line to what the other wrote; without turns one of them would be lost."""

    def add(settings: Settings) -> None:
        path = settings.home / "deployment/cards/history.jsonl"
        for _ in range(5):
            with shared_turn(settings, settings.home / "turn.lock", path):
                write(settings, "deployment/cards/history.jsonl", (path.read_text() if path.exists() else "") + "x")

    threads = [threading.Thread(target=add, args=[settings]) for settings in (team, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    pull(team)
    assert (team.home / "deployment/cards/history.jsonl").read_text() == "x" * 10


def test_a_turn_that_another_machine_has_is_not_free(team: Settings, other: Settings) -> None:
    with shared_turn_if_free(team, team.home / "b" / "turn.lock") as is_ours:
        with shared_turn_if_free(other, other.home / "b" / "turn.lock") as is_theirs:
            pass
        with shared_turn_if_free(other, other.home / "c" / "turn.lock") as is_another:
            pass

    assert (is_ours, is_theirs, is_another) == (True, False, True)


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "bundles/../../outside", "."])
def test_a_name_on_the_server_cannot_write_outside_the_home(team: Settings, name: str) -> None:
    with server(team) as con:
        con.execute("insert into loanlake.files values (%s, 'x', 420, nextval('loanlake.positions'))", [name])

    with pytest.raises(TeamError, match="not below a home: delete that row"):
        pull(team)


def test_locks_drafts_and_files_of_batches_stay_where_they_are(team: Settings, other: Settings) -> None:
    for name in ("serving/batches/b/rows.jsonl", "bundles/.draft", "bundles/turn.lock", "bundles/model"):
        write(team, name, "text")

    push(team, team.home / "serving" / "batches", team.home / "bundles")
    pull(other)

    assert [path.name for path in other.home.rglob("*") if path.is_file() and "team" not in path.parts] == ["model"]
    restore(other, other.home / "serving" / "batches" / "b")
    assert (other.home / "serving/batches/b/rows.jsonl").read_text() == "text"


def test_an_embedded_home_needs_no_server(home: Settings) -> None:
    path = write(home, "deployment/cards/deployment.json", "one")

    with shared_turn(home, home.home / "turn.lock", path):
        push(home, path)
        restore(home, path)

    assert pull(home) == 0
    assert path.read_text() == "one"


def test_a_server_that_is_away_is_an_error_without_the_password(home: Settings) -> None:
    nowhere = replace(home, catalog="host=127.0.0.1 port=1 dbname=none connect_timeout=2 password=s3cret-word")

    with pytest.raises(TeamError, match=r"must answer: .*`loanlake doctor`") as raised:
        pull(nowhere)

    assert "s3cret-word" not in str(raised.value)
