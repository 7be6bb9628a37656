"""The file of figures for whoever does not open the lake."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestration.alerts_command import alerts as command
from tests.measured_lake import measure
from warehouse.alerts.prepared import read_prepared
from warehouse.errors import MonitoringError
from warehouse.figures.published import publish_figures, read_figures
from warehouse.lake.connection import writer
from warehouse.settings import Settings


def test_what_is_published_is_read(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the other machines of a team, too."""
    measure(home)
    pushed: list[Path] = []
    monkeypatch.setattr("warehouse.figures.published.push", lambda _settings, *paths: pushed.extend(paths))

    published = publish_figures(home)

    assert published.not_built == ()
    assert read_figures(home) == published
    assert read_prepared(home) is not None
    assert pushed == [home.figures, home.prepared_alerts]


def test_a_lake_before_its_first_measurement_has_figures_without_values(home: Settings) -> None:
    assert read_figures(home) is None
    with writer("tests", home):
        pass

    published = publish_figures(home)

    assert published.not_built == (
        "monitoring.alert_states",
        "monitoring.freshness",
        "portfolio.bands",
        "staging.rows_set_aside",
    )
    assert sum(len(figure.series) for figure in published.figures) == 0


def test_an_acknowledgement_is_published(home: Settings) -> None:
    """Else an alert of /metrics that a person knows about would ring until the next measurement."""
    measure(home)

    done = CliRunner().invoke(command, ["ack", "drifted", "--by", "ann", "--reason", "campaign"])

    assert done.exit_code == 0, done.output
    assert read_figures(home) is not None


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        ('{"name": "9", "text": "", "labels": [], "series": []}', r"matching regex"),
        ('{"name": "loan_x", "text": "", "labels": ["a"], "series": [[[], 1]]}', r"loan_x needs a value for each of"),
        ('{"psi": 1}', r"missing required field"),
    ],
)
def test_a_file_that_is_something_else_is_named(home: Settings, figure: str, said: str) -> None:
    home.figures.parent.mkdir(parents=True)
    home.figures.write_text(f'{{"made_at": "2022-01-01T00:00:00Z", "figures": [{figure}]}}')

    with pytest.raises(MonitoringError, match=rf"figures\.json must hold the newest figures.*{said}"):
        read_figures(home)
