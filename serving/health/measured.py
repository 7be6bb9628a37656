"""What other processes measured in the lake, shown at ``/metrics`` from two small files of the home.

``drift.json`` of a lender, and ``figures.json`` of all lenders. An invalid file is logged and left out.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from prometheus_client.core import GaugeMetricFamily, Metric

from ml.monitoring.drift_figures import VersionDrift, read_drift
from serving.deployed.served_model import ServedDeployment
from warehouse.errors import MonitoringError
from warehouse.figures.published import Figures, read_figures
from warehouse.settings import Settings

log = logging.getLogger("loanlake.serving")
_Content = TypeVar("_Content", tuple[VersionDrift, ...], Figures | None)


class MeasuredFigures:
    """Reads each file again only if it changed."""

    def __init__(self, settings: Settings):
        self._settings = settings
        #: By path: the stamp of the file, and what it held.
        self._drift: dict[Path, tuple[tuple[int, int], tuple[VersionDrift, ...]]] = {}
        self._figures: dict[Path, tuple[tuple[int, int], Figures | None]] = {}

    def told(self, served: Sequence[ServedDeployment]) -> Iterator[Metric]:
        """Drift and figures; those of a model only if it is in ``served``."""
        yield from self._measured_drift(served)
        yield from self._figures_of_the_lake(served)

    def _measured_drift(self, served: Sequence[ServedDeployment]) -> Iterator[Metric]:
        labels = ["lender", "model", "version"]
        psi = GaugeMetricFamily(
            "loan_model_drift_psi",
            "Population stability index of the newest month measured, against the training rows",
            labels=[*labels, "feature"],
        )
        limit = GaugeMetricFamily(
            "loan_model_drift_psi_limit", "The index above which that is drift", labels=[*labels, "feature"]
        )
        detected = GaugeMetricFamily(
            "loan_model_drift_detected", "Whether that is drift: 1 or 0", labels=[*labels, "feature"]
        )
        month = GaugeMetricFamily(
            "loan_model_drift_month_timestamp_seconds", "First day of that month of decisions", labels=labels
        )
        measured = GaugeMetricFamily(
            "loan_model_drift_measured_timestamp_seconds", "When it was measured", labels=labels
        )
        for each in served:
            lender = each.lender
            found = self._read(
                self._settings.drift(lender), self._drift, partial(read_drift, self._settings, lender), empty=()
            )
            for drift in found:
                if each.made(drift.model_name, drift.model_version) is None:
                    continue
                version = [lender, drift.model_name, str(drift.model_version)]
                month.add_metric(version, datetime.combine(drift.month, datetime.min.time(), UTC).timestamp())
                measured.add_metric(version, drift.measured_at.timestamp())
                for figure in drift.figures:
                    psi.add_metric([*version, figure.feature], figure.psi)
                    detected.add_metric([*version, figure.feature], figure.is_drifted)
                    if figure.psi_limit is not None:
                        limit.add_metric([*version, figure.feature], figure.psi_limit)
        yield from (psi, limit, detected, month, measured)

    def _figures_of_the_lake(self, served: Sequence[ServedDeployment]) -> Iterator[Metric]:
        found = self._read(self._settings.figures, self._figures, partial(read_figures, self._settings), empty=None)
        if found is None:
            return
        made = GaugeMetricFamily("loan_figures_made_timestamp_seconds", "When the figures of the lake were computed")
        made.add_metric([], found.made_at.timestamp())
        yield made
        versions = {
            (each.lender, model.deployment.model_name, str(model.deployment.model_version))
            for each in served
            for _, model, _ in each.traffic()
        }
        for figure in found.figures:
            family = GaugeMetricFamily(figure.name, figure.text, labels=figure.labels)
            is_of_a_version = figure.labels[:3] == ("lender", "model", "version")
            for series in figure.series:
                if not is_of_a_version or series.labels[:3] in versions:
                    family.add_metric(series.labels, series.value)
            yield family

    @staticmethod
    def _read(
        path: Path,
        known: dict[Path, tuple[tuple[int, int], _Content]],
        read: Callable[[], _Content],
        *,
        empty: _Content,
    ) -> _Content:
        try:
            stat = path.stat()
        except FileNotFoundError:
            return empty
        stamp = (stat.st_ino, stat.st_mtime_ns)
        if path not in known or known[path][0] != stamp:
            try:
                known[path] = stamp, read()
            except MonitoringError as error:
                known[path] = stamp, empty
                log.error("figures cannot be shown", extra={"file": path.name, "reason": str(error)})
        return known[path][1]
