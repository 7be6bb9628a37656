"""A turn is one holder's, and free once it ends."""

from pathlib import Path

import pytest

from warehouse.files.turns import file_turn, file_turn_if_free


def test_a_turn_is_free_again_after_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "turn.lock"

    def fail() -> None:
        with file_turn(path):
            with file_turn_if_free(path) as meanwhile:
                assert not meanwhile
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    with file_turn_if_free(path) as is_ours:
        assert is_ours
