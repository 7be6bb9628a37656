"""An ensemble of registered versions has these versions as members, or is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ml.registry.registered_version import load_registered
from ml.training.lineage import Lineage
from orchestration import ensemble_command
from orchestration.defs.training import ensembling
from orchestration.defs.training.candidates import CandidateDirectory, Judgement
from orchestration.defs.training.ensembling import ensemble_of, run_ensemble
from tests.model_factory import FAMILIES, SOURCE, fill_lake, register_model, shared_bundle, trained, write_model
from warehouse.errors import BundleError, SettingError
from warehouse.lenders.rules import read_lender
from warehouse.settings import Settings


@pytest.fixture
def two_versions(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Versions 1, trees, and 2, a line; gates and MLflow are not part of these tests."""
    fill_lake(home)
    for version, family in ((1, "xgboost"), (2, "logistic")):
        register_model(home, write_model(tmp_path / family, *trained(home, FAMILIES[family])), version=version)
    home.dbt_target.mkdir(parents=True)
    (home.dbt_target / "manifest.json").write_text("{}")

    def judged(_settings: Settings, _record: object, directory: CandidateDirectory) -> dict[str, Any]:
        gate = {"gate": "ensemble_beats_its_best_member", "passed": False, "message": "Required more; found less."}
        directory.write_judgement(Judgement(None, (gate,)))
        return {"model_name": "default_risk_simulated", "model_version": 3}

    monkeypatch.setattr(ensembling, "judge_and_register", judged)
    return home


def test_its_members_are_the_versions_to_the_byte(two_versions: Settings) -> None:
    """Also though they have learned from tune rows, where their weights were fitted."""
    found = run_ensemble(two_versions, SOURCE, (1, 2), l2=1000)

    for place, version in enumerate((1, 2)):
        bundle = load_registered(two_versions, SOURCE, version)
        for name in bundle.model_files:
            ours = found.candidate.bundle / "members" / str(place) / name
            assert ours.read_bytes() == (bundle.directory / name).read_bytes()
    settings = json.loads((found.candidate.bundle / "lineage.json").read_text())["settings"]
    assert [member["family"] for member in settings["model"]["members"]] == ["xgboost", "logistic"]
    text = "\n".join(ensemble_command._lines(found))
    assert "version 1    xgboost" in text
    assert "refused by ensemble_beats_its_best_member: Required more; found less." in text
    assert "version 3: refused, and not served" in text
    assert "`loanlake model approve 3 --override ensemble_beats_its_best_member --lender simulated" in text


def test_a_version_that_trains_to_other_bytes_here_is_refused(
    two_versions: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the ensemble would have members that nobody registered."""
    load = ensembling.load_registered
    other = shared_bundle(seed=8, family="logistic")

    def as_if_trained_elsewhere(settings: Settings, source: str, version: int) -> object:
        bundle = load(settings, source, version)
        return replace(bundle, checksums=other.checksums) if version == 2 else bundle

    monkeypatch.setattr(ensembling, "load_registered", as_if_trained_elsewhere)

    with pytest.raises(BundleError, match=r"member 2 .* must be version 2 to the byte: its coefficients\.json differs"):
        run_ensemble(two_versions, SOURCE, (1, 2), l2=1000)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"training_set_sha256": "0"}, "versions 1 and 2 differ in training set sha256"),
        ({"feature_version": "v2"}, "differ in feature version"),
        ({"settings": {"refit": False}}, "differ in setting refit"),
        ({"settings": {"exclude": ["term_months"]}}, "differ in setting exclude"),
    ],
)
def test_versions_that_cannot_be_added_are_refused(changed: dict[str, Any], text: str) -> None:
    one, other = _lineage("xgboost"), _lineage("logistic")
    changed = {**changed, "settings": {**other.settings, **changed.get("settings", {})}}

    with pytest.raises(SettingError, match=text):
        ensemble_of(read_lender(SOURCE), {1: one, 2: replace(other, **changed)})


def test_one_version_is_no_ensemble_and_an_ensemble_no_member() -> None:
    with pytest.raises(SettingError, match="two versions or more: found 1"):
        ensemble_of(read_lender(SOURCE), {1: _lineage("xgboost")})
    with pytest.raises(SettingError, match=r"a member of an ensemble must be one of .*: found 'ensemble'"):
        ensemble_of(read_lender(SOURCE), {1: _lineage("xgboost"), 2: _lineage("ensemble")})
    with pytest.raises(SettingError, match="hazard cannot be a member of an ensemble"):
        ensemble_of(read_lender(SOURCE), {1: _lineage("xgboost"), 2: _lineage("hazard")})


def _lineage(family: str) -> Lineage:
    return shared_bundle(family=family).lineage
