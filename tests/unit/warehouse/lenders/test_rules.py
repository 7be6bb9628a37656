"""A lender's own settings are read whole, or the run stops and names what it cannot read."""

from pathlib import Path

import pytest

from warehouse.errors import SettingError
from warehouse.lenders.rules import MovedLimit, PublishSetting, read_lender

FILE = """
gates:
  max_feature_auc: {limit: 0.95, reason: "minutes 2026-11"}
  mean_ratio: {limit: [0.5, 2], reason: "a young book"}
honest_features:
  bureau_score: "Bought before the decision"
publish: {mode: always, by: "Ann Smith", reason: "one-person shop"}
"""


def _write(directory: Path, text: str) -> None:
    (directory / "bank.yml").write_text(text)


def test_limits_statements_and_publication_come_with_their_reasons(tmp_path: Path) -> None:
    _write(tmp_path, FILE)

    lender = read_lender("bank", tmp_path)

    assert lender.gates == {
        "max_feature_auc": MovedLimit(0.95, "minutes 2026-11"),
        "mean_ratio": MovedLimit((0.5, 2.0), "a young book"),
    }
    assert lender.honest_features == {"bureau_score": "Bought before the decision"}
    assert lender.publish == PublishSetting("always", "one-person shop", "Ann Smith")


@pytest.mark.parametrize("source", ["union", "../bank", ".bank"])
def test_a_lender_without_a_file_has_no_settings(tmp_path: Path, source: str) -> None:
    _write(tmp_path, FILE)
    (tmp_path / "under").mkdir()

    lender = read_lender(source, tmp_path / "under")

    assert (lender.gates, lender.honest_features, lender.publish) == ({}, {}, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gate: {}", r"bank.yml has unknown keys: found gate; known are gates, honest_features, publish"),
        ("gates: {max_auc: 0.97}", r"gates.max_auc must hold names with values: found 0.97"),
        ("gates: {max_auc: {limit: 0.97}}", r"gates.max_auc.reason must say why the limit is moved: found None"),
        (
            "gates: {max_auc: {limit: high, reason: r}}",
            r"max_auc.limit must be a number, or two .*: found 'high'",
        ),
        (
            "gates: {max_auc: {limit: true, reason: r}}",
            r"max_auc.limit must be a number, or two .*: found True",
        ),
        ("gates: {max_auc: {limit: 1, reason: r, by: x}}", r"gates.max_auc has unknown keys: found by"),
        ("honest_features: [bureau_score]", r"honest_features must hold names with values"),
        ("honest_features: {bureau_score: }", r"bureau_score must say why the feature is honest: found None"),
        ("publish: {mode: sometimes}", r"publish.mode must be one of auto, never, always: found 'sometimes'"),
        ("publish: {mode: always, reason: r}", r"publish.by must name the person whose word `always` is: found None"),
        ("publish: {mode: always, by: ann}", r"publish.reason must say why: found None"),
        ("gates: {", r"bank.yml must be YAML"),
        ("- gates", r"bank.yml must hold names with values"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, message: str) -> None:
    _write(tmp_path, text)

    with pytest.raises(SettingError, match=message):
        read_lender("bank", tmp_path)
