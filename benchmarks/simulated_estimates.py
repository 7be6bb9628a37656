"""What the estimates before labels see on the simulated lender, whose truth is known at once.

``LOANLAKE_HOME=… python -m benchmarks.simulated_estimates [YYYY-MM]``, on a home in which ``loanlake run simulated`` has
built the tables. A model is trained with what was known on the first day of the month (default 2024-01; labels within
twelve months), and every month from then on is estimated. What was true is drawn from each application's true
probability of default within twelve months. It is not one of ``make bench``: it measures errors, not speed.
"""

import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from typing import NamedTuple

import numpy as np

from ml.bundle.feature_rows import offline_frame
from ml.calibration.calibrators import uncalibrated
from ml.estimates.estimate import Estimator, Interval, LabelledReference
from ml.estimates.expected import METRICS
from ml.monitoring.limits import EstimateRule
from ml.training.fitting import TrainingSettings, train
from ml.walk_forward.plan import next_month, parse_month
from ml.walk_forward.rows import KnownRows
from orchestration.defs.walk_forward.walking import label_rule
from orchestration.lib.feature_versions import feature_contract
from warehouse.lake.connection import connect, current_snapshot
from warehouse.settings import Settings

WINDOW_MONTHS = 12
#: As ``warehouse/sources/simulated/outcomes.py`` draws the time of a default.
_DAYS_A_MONTH, _FIRST_DEFAULT_DAY, _BETA = 30.4375, 30, (1.4, 2.2)


class _Month(NamedTuple):
    month: date
    is_shock: bool
    is_alarm: bool
    n_effective: float
    estimates: dict[str, dict[str, Interval]]
    truth: dict[str, float]


def main(arguments: Sequence[str]) -> int:
    """Estimate the months and print the figures; 1 if the shock is not seen at once, or quiet months raise alarms."""
    months = _measure(Settings.from_environment(), parse_month(arguments[0] if arguments else "2024-01"))
    quiet, shock = ([each for each in months if each.is_shock is wanted] for wanted in (False, True))
    for each in months:
        rate, weighted = (each.estimates[method]["default_rate"] for method in ("cbpe", "pape"))
        print(
            f"{each.month:%Y-%m} {'shock' if each.is_shock else 'quiet'} {'ALARM' if each.is_alarm else '     '} "
            f"cbpe {rate.estimated:.3f} ({rate.low:.3f}-{rate.high:.3f})  pape {weighted.estimated:.3f} "
            f"({weighted.low:.3f}-{weighted.high:.3f})  true {each.truth['default_rate']:.3f}  "
            f"reference loans' weight {each.n_effective:,.0f}"
        )
    for method in ("cbpe", "pape"):
        for metric in METRICS:
            print(
                f"{method} {metric:<16} quiet {_grade(quiet, method, metric)}   shock {_grade(shock, method, metric)}"
            )
    n_false = sum(each.is_alarm for each in quiet)
    seen = next((place for place, each in enumerate(shock) if each.is_alarm), None)
    print(f"quiet months with an alarm: {n_false} of {len(quiet)}; the shock is seen in its month {seen and seen + 1}")
    return int(n_false > 0.05 * len(quiet) or seen != 0)


def _measure(settings: Settings, day: date) -> list[_Month]:
    from scipy.stats import beta

    contract, rule = feature_contract(settings, "", source="simulated"), EstimateRule()
    generator = np.random.default_rng(0)
    with closing(connect(settings)) as con:
        rows = KnownRows(
            con,
            label_rule(settings),
            contract,
            source="simulated",
            snapshot=current_snapshot(con),
            window_months=WINDOW_MONTHS,
        )
        training_set = rows.training_set(day)
        model = train(training_set, contract, TrainingSettings())
        told = np.array(
            [name not in contract.features_made_of("cohort") for name in model.design_matrix.feature_of_column]
        )
        truth = {
            key: tuple(values)
            for key, *values in con.execute(
                "select application_id, p_default, term_months, is_shock_period from staging.stg_simulated__truth "
                "join core.int_applications using (application_id)"
            ).fetchall()
        }

        def scored(month: date) -> tuple[np.ndarray, np.ndarray, list[str]]:
            frames = [
                (offline_frame(batch, contract), batch.column("application_id").to_pylist())
                for batch in rows.applications(month)
            ]
            matrix = np.concatenate([model.design_matrix.encode(frame) for frame, _ in frames])
            probability = model.calibrator.apply(uncalibrated(model.model.raw_scores(matrix)))
            return matrix[:, told], probability, [key for _, keys in frames for key in keys]

        test = training_set.rows("test")
        first, newest = (each.date().replace(day=1) for each in (test["decided_at"].min(), test["decided_at"].max()))
        before, month = [], first
        while month <= newest:
            before.append(scored(month)[1])
            month = next_month(month)
        estimator = Estimator(
            LabelledReference(
                matrix=model.design_matrix.encode(test)[:, told],
                probability=model.probabilities(test),
                defaulted=training_set.defaulted("test"),
                applicants=np.concatenate(before),
            ),
            cut_off=model.policy.cut_off,
        )
        print(
            f"{len(test):,} reference loans of {first:%Y-%m} to {newest:%Y-%m}, {len(np.concatenate(before)):,} applicants"
        )
        found, month, last = [], day, rows.decided_months()[1]
        while month <= last:
            matrix, probability, keys = scored(month)
            p_default, term_months, is_shock = (
                np.array(each) for each in zip(*(truth[key] for key in keys), strict=True)
            )
            lived = (365.25 - _FIRST_DEFAULT_DAY) / (term_months * _DAYS_A_MONTH - _FIRST_DEFAULT_DAY)
            defaulted = generator.uniform(size=len(keys)) < p_default * beta.cdf(np.clip(lived, 0, 1), *_BETA)
            by_method = {method: estimator.recalibrate(method, matrix) for method in ("cbpe", "pape")}
            estimates = {method: estimator.estimate(each, probability) for method, each in by_method.items()}
            expected, error = estimator.rate_of_applicants(probability)
            rate = estimates["cbpe"]["default_rate"].estimated
            is_alarm = rule.judge_default_rate(rate, expected=expected, standard_error=error).is_alarm
            found.append(
                _Month(
                    month,
                    bool(is_shock[0]),
                    is_alarm,
                    by_method["pape"].n_effective,
                    estimates,
                    estimator.truth(probability, defaulted),
                )
            )
            month = next_month(month)
    return found


def _grade(months: Sequence[_Month], method: str, metric: str) -> str:
    pairs = [(each.estimates[method][metric], each.truth[metric]) for each in months]
    held = np.mean([interval.low <= true <= interval.high for interval, true in pairs])
    error = np.mean([interval.estimated - true for interval, true in pairs])
    return f"{held:4.0%} held, mean error {error:+8.4f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
