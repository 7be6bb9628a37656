"""What the code has, for what deploy/ names."""

from importlib.metadata import entry_points

import pytest

from serving.app import create_app
from tests.deploy.folder import FOREIGN
from warehouse.settings import Settings
from warehouse.settings.registry import groups


@pytest.fixture(scope="session")
def settings_known() -> set[str]:
    """Every variable that a pod or container of Loanlake may be given."""
    return FOREIGN | {variable.name for variables in groups().values() for variable in variables}


@pytest.fixture(scope="session")
def api_paths(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The paths of the API."""
    home = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("deploy") / "home")})
    return {route.path for route in create_app(home).routes}


@pytest.fixture(scope="session")
def commands() -> set[str]:
    """The words of every command of `loanlake`."""
    return {entry.name.replace(".", " ") for entry in entry_points(group="loanlake.commands")}
