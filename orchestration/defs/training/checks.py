"""The gates as blocking checks on the registered version: a failing gate prevents its deployment."""

from collections.abc import Iterator

import dagster as dg

from ml.judging.gates import GATES
from orchestration.defs.training.candidates import current_candidate
from orchestration.lib.layers import REGISTERED_MODEL
from orchestration.lib.run_settings import RunSettings
from warehouse.settings import Settings


@dg.multi_asset_check(
    name="gates",
    specs=[
        dg.AssetCheckSpec(gate.name, asset=REGISTERED_MODEL, blocking=True, description=gate.claim) for gate in GATES
    ],
)
def gates(run_settings: RunSettings) -> Iterator[dg.AssetCheckResult]:
    """What ``ml.judging.gates`` decided on the candidate."""
    settings = Settings.from_environment()
    judgement = current_candidate(settings, run_settings.active_source(settings)).read_judgement()
    if judgement is None:
        raise dg.Failure("the candidate was not judged yet: materialise model/evaluation first")
    for gate in judgement.gates:
        yield dg.AssetCheckResult(
            check_name=gate["gate"],
            asset_key=REGISTERED_MODEL,
            passed=gate["passed"],
            description=gate["message"],
            metadata={"required": gate["required"], "found": gate["found"]},
        )
