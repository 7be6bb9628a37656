"""A candidate's page: what people look at first stands first, and everything else on it is text."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestration.defs.training.candidates import CandidateDirectory, Judgement
from orchestration.defs.training.model_page import write_model_page
from warehouse.settings import Settings

PNG = b"\x89PNG"


def measured(split: str, month: str | None, model: str, auc: float) -> dict[str, Any]:
    figures = {"n": 1_234, "default_rate": 0.1, "auc": auc, "auc_low": auc - 0.01, "auc_high": auc + 0.01}
    figures |= {"gini": 2 * auc - 1, "ks": 0.3, "brier": 0.08, "ece": None}
    return {"split": split, "month": month, "model": model, **figures}


@pytest.fixture
def directory(home: Settings) -> CandidateDirectory:
    found = CandidateDirectory(home.candidates / "bank" / "0123456789abcdef")
    found.bundle.mkdir(parents=True)
    found.plots.mkdir()
    for name in ("roc", "calibration", "own_picture"):
        (found.plots / f"{name}.png").write_bytes(PNG)
    rows = [measured("test", None, "candidate", 0.71), measured("test", None, "logistic", 0.65)]
    rows += [measured("test", month, "candidate", 0.7) for month in ("2024-02", "2024-01")]
    (found.bundle / "metrics.json").write_text(json.dumps({"measured": rows}))
    choice = {"chosen": "logistic", "passed_over": "xgboost", "gain": 0.0012, "low": -0.001, "high": 0.0034}
    lineage = {"trained_at": "2024-03-01T09:05:00+00:00", "settings": {"family": "logistic"}}
    lineage |= {"family_choice": choice | {"n_rows": 800}}
    (found.bundle / "lineage.json").write_text(json.dumps(lineage))
    guarantees = {"score_bound": 1e-5, "reasons_are_exact": False, "keeps_directions": False}
    (found.bundle / "bundle.json").write_text(json.dumps({"guarantees": guarantees}))
    return found


def gate(name: str, message: str, *, passed: bool) -> dict[str, Any]:
    return {"gate": name, "passed": passed, "required": "", "found": "", "message": message}


def page_of(home: Settings, directory: CandidateDirectory, *gates: dict[str, Any]) -> tuple[Path, str]:
    path = write_model_page(home, "bank", directory, Judgement(None, gates))
    return path, path.read_text()


def test_headline_figures_come_first_then_plots_then_tables(home: Settings, directory: CandidateDirectory) -> None:
    path, page = page_of(home, directory, gate("auc_reaches_floor", "AUC 0.71 of 0.6", passed=True))

    assert path == home.reports / "models" / "bank" / "0123456789ab.html"
    order = ["0.7100 (0.7000–0.7200)", 'alt="roc"', 'alt="calibration"', 'alt="own picture"', "AUC 0.71 of 0.6"]
    order += ["test · logistic", "2024-01 · test", "2024-02 · test"]
    assert [page.index(text) for text in order] == sorted(page.index(text) for text in order)


def test_a_refusal_is_among_the_headlines(home: Settings, directory: CandidateDirectory) -> None:
    _, page = page_of(home, directory, gate("auc_reaches_floor", "AUC 0.71 of 0.8", passed=False))

    assert "refused by auc_reaches_floor" in page.partition("<img")[0]


def test_the_family_and_why_it_was_chosen_are_among_the_headlines(
    home: Settings, directory: CandidateDirectory
) -> None:
    _, page = page_of(home, directory)

    assert (
        "logistic rather than xgboost: on 800 tune rows its log loss is lower by 0.0012 per loan "
        "(95 % interval -0.0010 to +0.0034)" in page.partition("<img")[0]
    )


def test_texts_are_not_markup(home: Settings, directory: CandidateDirectory) -> None:
    _, page = page_of(home, directory, gate("no_feature_knows", "<script>alert(1)</script>", passed=False))

    assert "<script>" not in page


def test_the_index_is_given_what_it_shows(home: Settings, directory: CandidateDirectory) -> None:
    path, _ = page_of(home, directory, gate("auc_reaches_floor", "", passed=True))

    about = json.loads(path.with_suffix(".json").read_text())["about"]
    when = {"source": "bank", "trained_at": "2024-03-01 09:05"}
    assert about == when | {"family": "logistic", "auc": 0.71, "refused_by": []}


def test_what_the_family_does_not_guarantee_is_among_the_headlines(
    home: Settings, directory: CandidateDirectory
) -> None:
    _, page = page_of(home, directory)

    assert (
        "scores within 1e-05 in log-odds, estimated reasons, directions of risk not kept" in page.partition("<img")[0]
    )
