"""What a benchmark of the API serves: a lender's own model, history and applications.

``LOANLAKE_BENCH_HOME`` names a home that the main job has filled; it is copied and left alone, and its first lender is
served. Without it the main job fills one for the simulated lender, which takes two minutes.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ml.bundle.bundle import Bundle, load_bundle
from ml.registry.deployment import Deployment, read_deployment
from serving.access.keys import MOST_REQUESTS, KeyStore
from serving.deployed.score_request import ALWAYS
from warehouse.lake.connection import connect
from warehouse.settings import Settings

#: Applications that a load is made of, one after another.
N_APPLICATIONS = 500
_COPIED = ("bundles", "deployment", "lake", "online")


@dataclass(frozen=True)
class BenchmarkHome:
    """A home that serves; ``key`` may score without a limit to speak of, ``requests``: bodies of score requests."""

    settings: Settings
    deployment: Deployment
    bundle: Bundle
    key: str
    requests: list[str]

    @property
    def headers(self) -> dict[str, str]:
        """That authenticate."""
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def environment(self) -> dict[str, str]:
        """That point a server to this home."""
        return {"LOANLAKE_HOME": str(self.settings.home)}


@contextmanager
def benchmark_home() -> Iterator[BenchmarkHome]:
    """A home of its own, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="loanlake-bench-") as directory:
        home = Path(directory) / "home"
        given = os.environ.get("LOANLAKE_BENCH_HOME")
        if given:
            for part in _COPIED:
                shutil.copytree(Path(given) / part, home / part)
        else:
            loanlake = str(Path(sys.executable).with_name("loanlake"))
            environment = os.environ | {"LOANLAKE_HOME": str(home)}
            subprocess.run([loanlake, "run", "simulated"], env=environment, stdout=subprocess.DEVNULL, check=True)
        settings = Settings.from_environment({"LOANLAKE_HOME": str(home)})
        lenders = settings.deployed_lenders()
        deployment = read_deployment(settings, lenders[0]) if lenders else None
        if deployment is None:
            raise RuntimeError(f"a benchmark needs a home with a promoted model: {given} has none")
        bundle = load_bundle(deployment.bundle_directory(settings))
        key = KeyStore(settings.keys).create("benchmark", ["score"], rate_limit=MOST_REQUESTS)
        yield BenchmarkHome(
            settings, deployment, bundle, key, requests_of(settings, deployment, bundle, N_APPLICATIONS)
        )


def requests_of(settings: Settings, deployment: Deployment, bundle: Bundle, n: int) -> list[str]:
    """The latest ``n`` applications, as their lender would send them today: approved and declined as they come."""
    named = [column.name for column in bundle.contract.inputs_of("request")]
    names = [*sorted(ALWAYS - {"decided_at"}), *(name for name in named if name not in ALWAYS)]
    columns = ", ".join(f'"{name}"' for name in names)
    with connect(settings) as con:
        rows = con.execute(
            f"select {columns} from features.ftr_application_inputs where source = $1 "
            "order by decided_at desc, application_id limit $2",
            [deployment.source, n],
        ).fetchall()
    return [json.dumps(dict(zip(names, row, strict=True)), default=str) for row in rows]
