"""What a dbt step builds, and what it leaves for the next run."""

from pathlib import Path
from types import ModuleType, SimpleNamespace

import dagster as dg
import pytest

from warehouse.settings import Settings

INPUTS, V1, V2 = (
    dg.AssetKey(["features", name]) for name in ("ftr_application_inputs", "ftr_application_v1", "ftr_application_v2")
)


@pytest.fixture(scope="module")
def steps(dbt_manifest: Path) -> ModuleType:
    """The module of the steps, which reads the dbt project as it is imported: before a test has a home of its own."""
    from orchestration.defs.warehouse import assets

    return assets


def test_a_part_of_the_features_leaves_no_stamp_of_the_whole(
    steps: ModuleType, home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no new row only the manifest changes, to the SQL of the part: the next whole run must compile the rest."""
    monkeypatch.setattr(steps, "build_with_row_counts", lambda *_: iter(["built"]))
    monkeypatch.setattr(steps, "feature_tables", lambda: {"v1": V1, "v2": V2})
    home.dbt_target.mkdir(parents=True)
    stamp = home.dbt_target / "built.json"
    stamp.write_text("{}")
    context = SimpleNamespace(
        is_subset=True,
        selected_asset_keys={V1},
        assets_def=SimpleNamespace(keys={V1, V2}, asset_deps={V1: {INPUTS}, V2: {INPUTS}}),
    )

    events = list(steps.build_tables(context, dbt=None))

    assert events == ["built"]
    assert not stamp.exists()
