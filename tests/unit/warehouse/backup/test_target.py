"""Names of a target have their bytes, in a folder as in an object store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from warehouse.backup.store import open_store
from warehouse.backup.target import open_target
from warehouse.errors import BackupError


@pytest.fixture(params=["folder", "object store"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "folder":
        yield str(tmp_path / "backups")
        return
    import pyarrow.fs

    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "tests")
    where = "{}:{}".format(*server.get_host_and_port())
    options = f"endpoint_override={where}&scheme=http&region=eu-central-1"
    pyarrow.fs.FileSystem.from_uri(f"s3://bank?{options}&allow_bucket_creation=true")[0].create_dir("bank")
    # what a server of this process keeps outlives it
    yield f"s3://bank/{tmp_path.name}?{options}"
    server.stop()


def test_names_are_written_read_listed_and_deleted(place: str) -> None:
    target = open_target(place)
    target.write("parts/ab/one", b"1")
    target.write("parts/ab/one", b"11")
    target.write("parts/cd/two", b"")
    target.flush()

    assert (target.read("parts/ab/one"), target.size("parts/ab/one"), target.size("nothing")) == (b"11", 2, None)
    assert target.sizes("parts") == target.sizes("") == {"parts/ab/one": 2, "parts/cd/two": 0}
    assert target.sizes("backups") == {}
    target.delete("parts/ab/one")
    target.delete("parts/ab/one")
    assert target.sizes("parts") == {"parts/cd/two": 0}
    with pytest.raises(BackupError, match="parts/ab/one"):
        target.read("parts/ab/one")


def test_a_store_is_begun_once_and_opened_again(place: str) -> None:
    part = open_store(place, "k" * 32, create=True).keep_part(b"content")

    again = open_store(place, "k" * 32, create=True)

    assert again.read_part(part) == b"content"
    assert again.keep_part(b"content") == part
    assert again.n_parts_written == 0
