"""A bundle is whole, verified and never overwritten."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from ml.bundle.bundle import MANIFEST, copy_bundle, load_bundle
from tests import model_factory
from tests.model_factory import CONTRACT, shared_bundle
from warehouse.errors import BundleError


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A bundle's directory to do damage in."""
    directory = tmp_path / "copy"
    shutil.copytree(shared_bundle().directory, directory)
    for path in directory.iterdir():
        path.chmod(0o644)
    return directory


def test_what_was_written_is_read_back():
    bundle = shared_bundle()

    assert load_bundle(bundle.directory) == bundle
    assert bundle.contract == CONTRACT
    assert (bundle.directory / "features.sql").read_text() == CONTRACT.sql
    assert sorted(path.name for path in bundle.directory.iterdir()) == sorted([*bundle.files, MANIFEST])


def test_lineage_says_where_the_model_came_from():
    lineage = shared_bundle().lineage

    assert (lineage.source, lineage.feature_version, lineage.trained_by) == ("simulated", "v1", "tests")
    assert sum(lineage.rows.values()) == 2000
    assert lineage.contract_fingerprint == CONTRACT.fingerprint
    assert lineage.decided_from == "2020-01-01T09:00:00"
    assert lineage.settings["model"]["max_trees"] == 40


def test_the_reference_holds_the_scores_of_the_rows_that_were_learned_from():
    bundle = shared_bundle()

    scores, sample = pd.read_parquet(bundle.reference_scores), pd.read_parquet(bundle.reference_sample)

    rows = bundle.lineage.rows
    assert len(scores) == rows["train"] + rows["tune"] == bundle.reference["n_rows"]
    assert scores["probability"].median() == pytest.approx(bundle.reference["score_quantiles"]["0.50"])
    assert len(sample) == 100
    assert set(CONTRACT.feature_names) < set(sample.columns)


def test_a_changed_file_is_named(copy):
    for name in shared_bundle().files:
        before = (copy / name).read_bytes()
        (copy / name).write_bytes(before + b" ")
        with pytest.raises(BundleError, match=f"{name} was changed after the bundle was written"):
            load_bundle(copy)
        (copy / name).write_bytes(before)


def test_a_missing_file_is_named(copy):
    (copy / "calibrator.json").unlink()

    with pytest.raises(BundleError, match=r"is incomplete: calibrator\.json: No such file"):
        load_bundle(copy)


def test_a_manifest_that_lists_too_little_is_refused(copy):
    """Prevents an unlisted file from escaping its checksum."""
    manifest = json.loads((copy / MANIFEST).read_text())
    del manifest["files"]["policy.json"]
    (copy / MANIFEST).write_text(json.dumps(manifest))

    with pytest.raises(BundleError, match=r"must list every file of a bundle: it lacks policy\.json"):
        load_bundle(copy)


def test_a_members_file_is_under_the_digest_of_its_ensemble(tmp_path):
    """Members have directories of their own, which a copy keeps."""
    bundle = copy_bundle(shared_bundle(family="ensemble"), tmp_path / "1")
    name = "members/1/coefficients.json"
    assert name in bundle.model_files
    assert bundle.digest == shared_bundle(family="ensemble").digest

    (bundle.directory / name).chmod(0o644)
    (bundle.directory / name).write_text("{}")

    with pytest.raises(BundleError, match=f"{name} was changed after the bundle was written"):
        load_bundle(bundle.directory)


@pytest.mark.parametrize("name", ["../outside.json", "/etc/outside.json", "members/../../outside.json"])
def test_a_manifest_that_names_a_file_outside_is_refused(copy, name):
    """A copy of the bundle would write there."""
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["files"][name] = "0" * 64
    (copy / MANIFEST).write_text(json.dumps(manifest))

    with pytest.raises(BundleError, match="must list files within its directory"):
        load_bundle(copy)


@pytest.mark.parametrize("text", ["not json", "[]", '{"format": 99}'])
def test_a_manifest_of_another_kind_is_refused(copy, text):
    (copy / MANIFEST).write_text(text)

    with pytest.raises(BundleError, match=r"bundle\.json"):
        load_bundle(copy)


def test_a_directory_without_manifest_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match=r"is not a model bundle: it must contain bundle\.json"):
        load_bundle(tmp_path)


def test_copying_again_changes_nothing(tmp_path):
    first = copy_bundle(shared_bundle(), tmp_path / "1")
    written = (tmp_path / "1" / MANIFEST).stat().st_mtime_ns

    again = copy_bundle(shared_bundle(), tmp_path / "1")

    assert again.digest == first.digest == shared_bundle().digest
    assert (tmp_path / "1" / MANIFEST).stat().st_mtime_ns == written


def test_another_bundle_is_never_overwritten(tmp_path):
    copy_bundle(shared_bundle(), tmp_path / "1")

    with pytest.raises(BundleError, match="bundles are never overwritten"):
        copy_bundle(shared_bundle(seed=8), tmp_path / "1")

    assert load_bundle(tmp_path / "1").digest == shared_bundle().digest


def test_a_copy_that_fails_leaves_nothing_behind(copy, tmp_path):
    """Prevents a half-written bundle at a place where a deployment may point."""
    bundle = load_bundle(copy)
    (copy / "model.onnx").write_bytes(b"changed since it was loaded")

    with pytest.raises(BundleError, match=r"model\.onnx was changed"):
        copy_bundle(bundle, tmp_path / "published" / "1")

    assert list((tmp_path / "published").iterdir()) == []


def test_a_bundle_is_written_once(home, tmp_path):
    model_factory.fill_lake(home, 1000)
    trained = model_factory.trained(home)
    model_factory.write_model(tmp_path / "bundle", *trained)

    with pytest.raises(BundleError, match="a bundle is written once"):
        model_factory.write_model(tmp_path / "bundle", *trained)
