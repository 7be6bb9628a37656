"""A replaced file is whole, has the mode asked for, and leaves no draft."""

import stat
from pathlib import Path

import pytest

from warehouse.files.replacing import replace_file


@pytest.mark.parametrize("content", ["text", b"bytes"])
def test_a_file_is_replaced_whole_and_leaves_no_draft(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "folder" / "file"

    replace_file(path, "before")
    replace_file(path, content, mode=0o400)

    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, "before")

    with pytest.raises(UnicodeEncodeError):
        replace_file(path, "\ud800")

    assert path.read_text() == "before"
