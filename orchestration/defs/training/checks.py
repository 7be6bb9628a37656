"""The gates as blocking checks on the registered version: a failing gate prevents its deployment."""

from collections.abc import Iterator

import dagster as dg

from ml.judging.gates import GATES
from orchestration.defs.training.candidates import current_candidate
from orchestration.lib.layers import REGISTERED_MODEL
from warehouse.settings import Settings


@dg.multi_asset_check(
    name="gates",
    specs=[
        dg.AssetCheckSpec(gate.name, asset=REGISTERED_MODEL, blocking=True, description=gate.claim) for gate in GATES
    ],
)
def gates(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """What ``ml.judging.gates`` decided on the lender's candidate.

    Dagster shows the newest result of any lender; each names its lender, and its history has all.
    """
    if not context.has_partition_key:
        raise dg.Failure(
            "the gates judge one lender's version: found a run without a lender. Materialise model/registered_model of "
            "the lender, which evaluates them too"
        )
    lender = context.partition_key
    judgement = current_candidate(Settings.from_environment(), lender).read_judgement()
    if judgement is None:
        raise dg.Failure("the candidate was not judged yet: materialise model/evaluation first")
    for gate in judgement.gates:
        yield dg.AssetCheckResult(
            check_name=gate["gate"],
            asset_key=REGISTERED_MODEL,
            passed=gate["passed"],
            description=f"{lender}: {gate['message']}",
            metadata={"lender": lender, "required": gate["required"], "found": gate["found"]},
        )
