"""A training is known again exactly when nothing it depends on has changed."""

import subprocess
from dataclasses import asdict, replace

import msgspec
import pytest

from ml.families.tree_based.boosted_trees import GradientBoosting
from ml.training.fitting import TrainingSettings
from ml.training.lineage import Lineage, git_commit, training_fingerprint
from tests.model_factory import CONTRACT, SETTINGS, shared_bundle


def test_the_fingerprint_is_the_lineages():
    lineage = shared_bundle().lineage

    assert training_fingerprint(lineage.training_set_sha256, CONTRACT, SETTINGS) == lineage.fingerprint


@pytest.mark.parametrize(
    ("rows", "contract", "settings"),
    [
        ("other rows", CONTRACT, TrainingSettings()),
        ("rows", replace(CONTRACT, sql=CONTRACT.sql + " "), TrainingSettings()),
        ("rows", CONTRACT, TrainingSettings(exclude=("term_months",))),
        ("rows", CONTRACT, TrainingSettings(model=GradientBoosting(seed=1))),
    ],
)
def test_anything_else_gives_another_fingerprint(rows, contract, settings):
    assert training_fingerprint(rows, contract, settings) != training_fingerprint("rows", CONTRACT, TrainingSettings())


def test_settings_survive_the_bundle():
    lineage = shared_bundle().lineage

    assert TrainingSettings.from_dict(lineage.settings) == SETTINGS
    assert msgspec.convert(asdict(lineage), Lineage) == lineage


def test_a_commit_is_marked_where_files_were_changed(tmp_path):
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True)

    assert git_commit(tmp_path) is None
    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "One")
    clean = git_commit(tmp_path)
    (tmp_path / "file").write_text("two")

    assert len(clean) == 40
    assert git_commit(tmp_path) == f"{clean}+changes"
