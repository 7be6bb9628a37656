"""Addresses of the pages of ``loanlake up``."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Self

from msgspec import Meta

from warehouse.settings.variable import Variable, read

_Port = Annotated[int, Meta(ge=1, le=65535)]
_Url = Annotated[str, Meta(pattern=r"^https?://[^\s\"'<>]+$")]
_MUST = "an address that begins with http:// or https://"


@dataclass(frozen=True)
class Ports:
    """The ports of `loanlake up`."""

    dagster: Annotated[_Port, Variable("Port of Dagster's pages.", "LOANLAKE_DAGSTER_PORT")] = 3000
    api: Annotated[_Port, Variable("Port of the API.", "LOANLAKE_API_PORT")] = 8000
    mlflow: Annotated[_Port, Variable("Port of MLflow's pages.", "LOANLAKE_MLFLOW_PORT")] = 5000
    reports: Annotated[_Port, Variable("Port of the drift reports.", "LOANLAKE_REPORTS_PORT")] = 8050


@dataclass(frozen=True)
class PageUrls:
    """Where links to the pages lead."""

    dagster: Annotated[
        _Url, Variable("Address of Dagster's pages in links to them.", "LOANLAKE_DAGSTER_URL", must=_MUST)
    ] = f"http://127.0.0.1:{Ports.dagster}"
    mlflow: Annotated[
        _Url, Variable("Address of MLflow's pages in links to them.", "LOANLAKE_MLFLOW_URL", must=_MUST)
    ] = f"http://127.0.0.1:{Ports.mlflow}"
    reports: Annotated[
        _Url, Variable("Address of the drift reports in links to them.", "LOANLAKE_REPORTS_URL", must=_MUST)
    ] = f"http://127.0.0.1:{Ports.reports}"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the addresses; raises SettingError naming the invalid variable."""
        return cls(**read(cls, environment))
