"""What a lender's file sets for gates and features is judged on its own, with dbt's parsed manifest."""

import sys
from pathlib import Path
from typing import Any

import pytest

from ml.families.catalogue import AUTO, FAMILIES
from ml.families.tab_transformer import TabTransformer
from ml.lender_check.settings import require_settings, setting_problems
from warehouse.errors import SettingError
from warehouse.lenders.files import FileSettings
from warehouse.lenders.lender import Lender, ModelSettings, MovedLimit, SetAsideSettings

KNOWN = ", ".join((AUTO, *(family.name for family in FAMILIES)))


def _lender(source: str = "bank", **settings: Any) -> Lender:
    return Lender(Path(f"{source}.yml"), **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"reasons": {"annual_incme": "x"}},
            "reasons must name features v2: found annual_incme, did you mean",
        ),
        ({"limits": {"anual_rate": (0, 5)}}, "limits must name numbers of a request: found anual_rate, did you mean"),
        (
            {"honest_features": {"nosuch": "bought before"}},
            "bank.yml: honest_features must name features v2: found nosuch; known are ",
        ),
        (
            {"gates": {"max_feature_auc": MovedLimit(95, "x")}},
            "bank.yml: gates.max_feature_auc.limit must be a number from 0.5 to 1: found 95",
        ),
        (
            {"model": ModelSettings(family="forest")},
            f"bank.yml: model.family must be one of {KNOWN}: found 'forest'",
        ),
        (
            {"model": ModelSettings(family="logistic", settings={"max_depth": 3})},
            "bank.yml: model.settings.max_depth must be a setting of logistic: known are l2, cut",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_right(
    dbt_manifest: Path, settings: dict[str, Any], message: str
) -> None:
    [problem] = setting_problems(_lender(**settings), dbt_manifest)

    assert message in problem
    with pytest.raises(SettingError):
        require_settings(_lender(**settings), dbt_manifest)


def test_a_kind_of_file_that_no_model_reads_is_named_with_the_nearest(dbt_manifest: Path) -> None:
    """Its settings would have no effect, and its files be read as any other."""
    lender = _lender(
        "lending_club", files={"loan": FileSettings()}, set_aside=SetAsideSettings(accepted_files=("lons/a.csv",))
    )

    assert setting_problems(lender, dbt_manifest) == (
        "lending_club.yml: files must name kinds of files that the lender's models read: found loan, did you mean "
        "loans? known are loans",
        "lending_club.yml: set_aside.accepted_files must name kinds of files that the lender's models read: found "
        "lons, did you mean loans? known are loans",
    )
    assert setting_problems(_lender("lending_club", files={"loans": FileSettings()}), dbt_manifest) == ()


def test_right_settings_have_no_problem_and_all_wrong_ones_are_said_together(dbt_manifest: Path) -> None:
    right = {"honest_features": {"annual_rate": "x"}, "limits": {"annual_rate": (0.0, 5.0)}}
    wrong = {"reasons": {"a_": "x"}, "limits": {"b_": (0.0, 1.0)}, "gates": {"max_auc": MovedLimit(2, "x")}}

    assert setting_problems(_lender(**right), dbt_manifest) == ()
    assert len(setting_problems(_lender(**wrong), dbt_manifest)) == 3


def test_before_the_first_build_only_gates_can_be_checked(tmp_path: Path) -> None:
    lender = _lender(reasons={"a_": "x"}, gates={"max_auc": MovedLimit(2, "x")})

    [problem] = setting_problems(lender, tmp_path / "manifest.json")

    assert "gates.max_auc.limit" in problem


def test_a_family_that_a_run_names_must_exist(tmp_path: Path) -> None:
    """Before the build, which takes a minute."""
    require_settings(_lender(), tmp_path / "manifest.json", family="logistic")

    with pytest.raises(
        SettingError,
        match=f"--family must be one of {KNOWN}: found 'tree'",
    ):
        require_settings(_lender(), tmp_path / "manifest.json", family="tree")


def test_a_family_or_a_balancing_that_is_not_installed_is_refused_before_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run built all tables and stopped at the training, after minutes."""
    manifest = tmp_path / "manifest.json"
    monkeypatch.setattr(TabTransformer, "packages", _without_torch)
    # None is how Python marks a module that cannot be imported
    monkeypatch.setitem(sys.modules, "imblearn", None)
    balanced = _lender(model=ModelSettings(family="xgboost", imbalance="smote"))

    with pytest.raises(SettingError, match="the family tab_transformer needs the package torch, which is not inst"):
        require_settings(_lender(), manifest, family="tab_transformer")
    with pytest.raises(SettingError, match="imbalance smote needs imbalanced-learn, which is not installed"):
        require_settings(balanced, manifest)
    with pytest.raises(SettingError, match="the family hazard needs dates of decision"):
        require_settings(_lender(dates="none"), manifest, family="hazard")


def _without_torch(_family: TabTransformer) -> dict[str, str]:
    raise ModuleNotFoundError(name="torch")
