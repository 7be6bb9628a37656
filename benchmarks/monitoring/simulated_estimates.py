"""What the estimates before labels see on the simulated lender, whose truth is known immediately.

``LOANLAKE_HOME=… python -m benchmarks.monitoring.simulated_estimates``, on a home in which ``loanlake run simulated``
has ended. Reads ``monitoring.performance_estimates``. What will be counted is drawn 200 times from each application's
true probability of default, so that coverage is of the lender's risk and not of one draw. The exit code is 1 if the
shock is not seen in its first month, or if more than 1 in 20 quiet months raise an alarm of the default rate. It is not
one of ``make bench``: it measures errors, not speed.
"""

import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import date

import duckdb
import numpy as np

from ml.bundle.bundle import load_bundle
from ml.estimates.expected import METRICS, figures, group_scores
from ml.registry.deployment import read_deployment
from warehouse.lake.connection import connect
from warehouse.settings import Settings

N_DRAWS = 200
_ESTIMATES = """
select month, metric, method, horizon_months, estimated, low, high, is_alarm, true_value
from monitoring.performance_estimates where source = 'simulated' and role = 'champion' order by month
"""
_TRUTH = """
select probability, p_default, is_shock_period from serving.predictions
join staging.stg_simulated__truth using (application_id)
where source = 'simulated' and model_version = $1 and date_trunc('month', decided_at)::date = $2 order by all
"""


def main() -> int:
    """Print a line a month and a line a metric; 1 if the claims do not hold."""
    settings = Settings.from_environment()
    deployment = read_deployment(settings, "simulated")
    if deployment is None:
        print("no model of the simulated lender is deployed: run `loanlake run simulated` first", file=sys.stderr)
        return 2
    cut_off = load_bundle(deployment.bundle_directory(settings)).policy.cut_off
    graded: dict[tuple[bool, str, str], list[tuple[float, float]]] = defaultdict(list)
    alarms: dict[bool, list[tuple[date, bool]]] = {False: [], True: []}
    generator = np.random.default_rng(0)
    with connect(settings) as con:
        rows = con.execute(_ESTIMATES).fetchall()
        for month in sorted({row[0] for row in rows}):
            is_shock, rate, truth = _truth(con, deployment.model_version, month, cut_off, generator)
            of_month = {row[1:3]: row[3:] for row in rows if row[0] == month}
            for (metric, method), (horizon, estimated, low, high, is_alarm, counted) in of_month.items():
                if metric in METRICS and horizon > 0 and estimated is not None:
                    draws = truth[metric]
                    held = float(np.mean((low <= draws) & (draws <= high)))
                    graded[is_shock, method, metric].append((held, float(estimated - np.nanmean(draws))))
                if (metric, method) == ("default_rate", "cbpe"):
                    alarms[is_shock].append((month, is_alarm))
                    print(
                        f"{month:%Y-%m} {_kind(is_shock)} horizon {horizon:>2}: estimated {estimated:.3f} "
                        f"({low:.3f} to {high:.3f}), true risk {rate:.3f}{', ALARM' if is_alarm else ''}"
                    )
                if metric == "defaults_so_far":
                    print(f"        defaults so far {counted:.0f}, expected {estimated:.1f} ({low:.0f} to {high:.0f})")
    for (is_shock, method, metric), found in sorted(graded.items()):
        held, error = np.mean(found, axis=0)
        print(f"{_kind(is_shock)} {method} {metric:<15} {len(found)} months: held {held:4.0%}, error {error:+.4f}")
    return _claims(alarms)


def _kind(is_shock: bool) -> str:
    return "shock" if is_shock else "quiet"


def _truth(
    con: duckdb.DuckDBPyConnection, version: int, month: date, cut_off: float, generator: np.random.Generator
) -> tuple[bool, float, dict[str, np.ndarray]]:
    found = con.execute(_TRUTH, [version, month]).fetchnumpy()
    chance, groups = found["p_default"], group_scores(found["probability"], cut_off)
    outcomes = np.stack([groups.sums(generator.uniform(size=len(chance)) < chance) for _ in range(N_DRAWS)])
    draws = {str(metric): values for metric, values in figures(outcomes, groups).items()}
    return bool(found["is_shock_period"][0]), float(chance.mean()), draws


def _claims(alarms: dict[bool, list[tuple[date, bool]]]) -> int:
    n_false, n_quiet = sum(is_alarm for _, is_alarm in alarms[False]), len(alarms[False])
    seen: Sequence[int] = [place for place, (_, is_alarm) in enumerate(alarms[True], start=1) if is_alarm]
    print(f"alarms in {n_false} of {n_quiet} quiet months; the shock is seen in its months {', '.join(map(str, seen))}")
    return int(n_false > 0.05 * n_quiet or 1 not in seen)


if __name__ == "__main__":
    sys.exit(main())
