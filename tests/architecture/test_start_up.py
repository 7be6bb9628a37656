"""What starting a process imports: a command answers at once, and the request path carries no training stack."""

import subprocess
import sys
from pathlib import Path

import pytest

SLOW_TO_IMPORT = (
    "dagster",
    "dbt",
    "dlt",
    "evidently",
    "litestar",
    "matplotlib",
    "mlflow",
    "pandas",
    "scipy",
    "sklearn",
    "xgboost",
)


def _imported_by(statement: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after ``statement``."""
    script = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module", ["warehouse.cli", "warehouse.commands", "ml.commands", "serving.commands", "orchestration.commands"]
)
def test_a_command_loads_nothing_heavy_before_it_runs(module: str) -> None:
    """``import mlflow`` alone takes nine seconds; ``loanlake --help`` would too."""
    assert _imported_by(f"import {module}").isdisjoint({*SLOW_TO_IMPORT, "duckdb", "onnxruntime"})


def test_the_api_carries_no_training_stack() -> None:
    heavy = {*SLOW_TO_IMPORT, "duckdb"} - {"litestar"}

    assert _imported_by("import serving.app").isdisjoint(heavy)


def test_the_asset_graph_is_defined_without_the_training_stack() -> None:
    """Dagster loads the definitions anew for every run: a slow import is paid each time."""
    assert _imported_by("import orchestration.definitions").isdisjoint({"evidently", "mlflow", "sklearn", "xgboost"})


def test_a_writer_opens_the_lake_without_pandas(tmp_path: Path) -> None:
    """DuckDB imports it for the first bound parameter: a second in each command and each run of dbt."""
    home = f"Settings.from_environment({{'LOANLAKE_HOME': {str(tmp_path)!r}}})"
    opened = f"from warehouse.lake.connection import writer\nfrom warehouse.settings import Settings\nhome = {home}\n"

    assert _imported_by(f"{opened}with writer('test', home): pass").isdisjoint({"numpy", "pandas", "pyarrow"})
