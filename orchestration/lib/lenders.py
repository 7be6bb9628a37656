"""The lenders as Dagster's partitions: every asset about one lender's model keeps a history for each of them.

They are the dbt project's lenders when Dagster loaded it. A run of these assets is of one lender, its partition; tables
of all lenders have no partitions, and a partitioned run builds them too.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from warehouse.lenders.rules import lenders_of_project

# static: a lender needs dbt models, and so a new load of the definitions, before a run can be of it
LENDERS = dg.StaticPartitionsDefinition(sorted(lenders_of_project()))
#: Dagster's own tag of a run, which names its lender.
LENDER_TAG = "dagster/partition"


def run_of(
    lender: str,
    *,
    run_key: str | None = None,
    run_settings: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> dg.RunRequest:
    """A request for a run of one lender. Dagster refuses it for a lender of :func:`why_unknown`."""
    config = {"resources": {"run_settings": {"config": dict(run_settings)}}} if run_settings else {}
    return dg.RunRequest(run_key=run_key, partition_key=lender, run_config=config, tags=tags)


def why_unknown(lender: str) -> str:
    """Why Dagster can start no run of this lender; empty if it can.

    One request for an unknown partition would fail the whole tick, and with it the runs of the other lenders.
    """
    if lender in LENDERS.get_partition_keys():
        return ""
    return (
        f"Dagster has no lender {lender!r}: declare it in `vars: lenders` of dbt_project.yml "
        "(docs/bring-your-own-lender.md), then press *Reload definitions* in Dagster or start `loanlake up` again"
    )
