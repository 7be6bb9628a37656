"""The entry point for Dagster: everything under ``defs/``, one folder a concern.

Loading must stay a matter of seconds, since the webserver, the daemon and every run do it: nothing here or in ``defs/``
imports MLflow (9 s), Evidently (10 s), XGBoost or pandas at module level.
"""

from importlib import import_module

import dagster as dg

from orchestration.lib.dbt_project import dbt_resource, prepared_manifest
from orchestration.lib.run_settings import RunSettings
from warehouse.files.private_files import keep_private
from warehouse.settings import REPOSITORY, Settings


@dg.definitions
def definitions() -> dg.Definitions:
    """All assets, checks, jobs, schedules and sensors, with the resources they ask for."""
    settings = Settings.from_environment()
    keep_private(settings)
    # first, so that a project that cannot be parsed is one clear error and not one for each folder that reads it
    prepared_manifest(settings)
    shared = dg.Definitions(
        resources={"dbt": dbt_resource(), "run_settings": RunSettings.configure_at_launch()},
        # one process a run: a step in a process of its own imports everything again (6–8 s each), and the steps take
        # turns at the lake's writer anyway
        executor=dg.in_process_executor,
    )
    # by module: `dg.load_from_defs_folder` looks for pyproject.toml, which an installed wheel does not have
    tree = dg.ComponentTree.from_module(import_module("orchestration.defs"), REPOSITORY)
    return dg.Definitions.merge(tree.build_defs(), shared)
