"""Every copy of a bundle loses a person alike, stays a bundle, and survives being interrupted."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ml.bundle.bundle import load_bundle
from ml.registry.bundle_erasure import erase_from_bundles
from tests.model_factory import MODEL_NAME, publish_model
from warehouse.settings import Settings


@pytest.fixture
def copies(home: Settings) -> list[Path]:
    """A published bundle, and the candidate it came from."""
    publish_model(home)
    published = home.bundles / MODEL_NAME / "1"
    return [published, Path(shutil.copytree(published, home.candidates / "one" / "bundle"))]


def _ids(bundle: Path) -> list[str]:
    return list(pd.read_parquet(bundle / "reference_scores.parquet")["application_id"])


def test_rows_leave_every_copy_and_their_digests_stay_equal(home: Settings, copies: list[Path]) -> None:
    before, ids = load_bundle(copies[0]).digest, _ids(copies[0])

    changed = erase_from_bundles(home, ids[:2], rename=None)

    after = [load_bundle(copy).digest for copy in copies]
    assert changed == {before: after[0]}
    assert after[0] == after[1]
    assert [_ids(copy) for copy in copies] == [ids[2:], ids[2:]]
    assert not {*ids[:2]} & {*pd.read_parquet(copies[0] / "reference_sample.parquet")["application_id"]}
    assert erase_from_bundles(home, ids[:2], rename=None) == {}


def test_renamed_rows_stay_where_they_were(home: Settings, copies: list[Path]) -> None:
    ids = _ids(copies[0])

    erase_from_bundles(home, ids[:1], rename=lambda name: f"x{len(name)}")

    assert _ids(copies[0]) == [f"x{len(ids[0])}", *ids[1:]]


def test_what_a_killed_publisher_left_goes_though_it_is_no_bundle_yet(home: Settings, copies: list[Path]) -> None:
    """Its files name applications, and without a manifest it is none of the bundles that are looked through."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    draft = copies[0].with_name(f".2.{gone.pid}-x")
    draft.mkdir()
    shutil.copy(copies[0] / "reference_scores.parquet", draft)

    erase_from_bundles(home, _ids(copies[0])[:1], rename=None)

    assert not draft.exists()


def test_what_an_erasure_left_when_it_was_killed_is_put_right(home: Settings, copies: list[Path]) -> None:
    """Between the two renames a bundle is in neither place."""
    published = copies[0]
    shutil.copytree(published, published.with_name(".1.erasing"))
    published.rename(published.with_name(".1.erased"))
    ids = _ids(copies[1])

    erase_from_bundles(home, ids[:1], rename=None)

    assert [path.name for path in published.parent.iterdir()] == ["1"]
    assert load_bundle(published).digest == load_bundle(copies[1]).digest
