"""The entry point for Dagster: everything under ``defs/``, one folder per concern.

The webserver, the daemon and every run load this, so it must take seconds: no module-level imports of MLflow (9 s),
Evidently (10 s), XGBoost or pandas here or in ``defs/``.
"""

from importlib import import_module

import dagster as dg

from orchestration.defs.warehouse.dbt_resource import dbt_of
from orchestration.lib.dbt_project import prepared_manifest
from orchestration.lib.run_settings import RunSettings
from orchestration.lineage.graph import remember
from orchestration.lineage.run_log import is_wanted
from warehouse.backup.records import require_whole
from warehouse.files.private_files import keep_private
from warehouse.settings import REPOSITORY, Settings


@dg.definitions
def definitions() -> dg.Definitions:
    """All assets, checks, jobs, schedules and sensors, with the resources they ask for."""
    settings = Settings.from_environment()
    require_whole(settings)
    keep_private(settings)
    # first, so that an invalid project gives one clear error, not one per folder
    prepared_manifest(settings)
    shared = dg.Definitions(
        resources={"dbt": dbt_of(), "run_settings": RunSettings.configure_at_launch()},
        # one process a run: a separate process per step imports everything again (6–8 s), and the steps take turns at
        # the lake's writer anyway
        executor=dg.in_process_executor,
    )
    # by module: `dg.load_from_defs_folder` needs pyproject.toml, which an installed wheel does not have
    tree = dg.ComponentTree.from_module(import_module("orchestration.defs"), REPOSITORY)
    found = dg.Definitions.merge(tree.build_defs(), shared)
    if is_wanted():
        remember(found)
    return found
