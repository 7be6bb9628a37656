"""The matured loans that a version has decided on, and did not learn from."""

from contextlib import closing
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
from numpy.typing import NDArray

from ml.registry.deployment import read_deployment
from ml.registry.registered_version import load_registered
from ml.training.policy import Policy
from warehouse.errors import NotFoundError
from warehouse.lake.connection import connect
from warehouse.settings import Settings


@dataclass(frozen=True)
class DecidedLoans:
    """One entry per application with a mature label: its newest decision by this version.

    ``amounts``: requested, in the lender's currency; None unless all are known. ``n_decided``: applications that the
    version decided on, with or without a label.
    """

    source: str
    model_name: str
    model_version: int
    policy: Policy
    probabilities: NDArray[np.float64]
    defaulted: NDArray[np.bool_]
    amounts: NDArray[np.float64] | None
    n_decided: int
    first_month: date
    last_month: date


def read_decided_loans(
    settings: Settings,
    source: str,
    *,
    until: date = date(9999, 12, 1),
    most: int | None = None,
    version: int | None = None,
) -> DecidedLoans:
    """The matured decisions of a version of the source; raises NotFoundError without a version or decisions.

    ``version``: the one in service unless given. ``until``: the last month of decisions to read. ``most``: of more
    mature loans a part is drawn by the hash of their ids, the same in every run.

    A version decides on no loan that it learned from (:mod:`ml.batches.backfill`), so the figures are honest.
    """
    served = read_deployment(settings, source)
    if served is None:
        raise NotFoundError(
            f"a model of {source} must be in service: found none; `loanlake run {source}` trains and serves one"
        )
    number = served.model_version if version is None else version
    policy = load_registered(settings, source, number).policy
    with closing(connect(settings)) as con:
        try:
            con.execute(_DECIDED, [source, served.model_name, number, until])
        except duckdb.CatalogException as error:
            raise NotFoundError(
                f"the lake must have the tables of decisions and labels: {str(error).splitlines()[0]}; build them with "
                f"`loanlake run {source}`"
            ) from error
        ((n_decided, first_month, last_month),) = con.execute(_SPAN).fetchall()
        columns = con.execute(_MATURE, [most]).fetchnumpy()
    if not len(columns["probability"]):
        raise NotFoundError(
            f"{served.model_name} version {number} must have decisions with a mature label: found none "
            f"among {n_decided:,} decisions; a new version has some after `loanlake run {source}`, which decides on "
            "its test loans"
        )
    # DuckDB masks what is missing
    amounts: NDArray[np.float64] = np.ma.filled(np.ma.asarray(columns["requested_amount"], dtype=np.float64), np.nan)
    return DecidedLoans(
        source=source,
        model_name=served.model_name,
        model_version=number,
        policy=policy,
        probabilities=np.asarray(columns["probability"], dtype=np.float64),
        defaulted=np.asarray(columns["is_default"], dtype=np.bool_),
        amounts=None if np.isnan(amounts).any() else amounts,
        n_decided=int(n_decided),
        first_month=first_month,
        last_month=last_month,
    )


_DECIDED = """
create or replace temp table newest_decisions as
select
    decided.application_id, any_value(labels.is_default) as is_default,
    max_by(decided.probability, (decided.decided_at, decided.decision_id)) as probability,
    date_trunc('month', max(decided.decided_at))::date as month
from serving.predictions as decided
left join training.lbl_default as labels on labels.application_id = decided.application_id
where decided.source = $1 and decided.model_name = $2 and decided.model_version = $3
    and decided.decided_at < $4::date + interval 1 month
group by decided.application_id
"""

_SPAN = """
select count(*), min(month) filter (where is_default is not null), max(month) filter (where is_default is not null)
from newest_decisions
"""

# in a fixed order, so that sums have the same last digits in every run
_MATURE = """
select decisions.probability, decisions.is_default, applications.requested_amount
from (
    from newest_decisions where is_default is not null order by hash(application_id), application_id limit $1
) as decisions
join core.int_applications as applications on applications.application_id = decisions.application_id
order by decisions.application_id
"""
