"""Pages from prepared tables: gaps, empty states, and what a lender named is data."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date

import msgspec
import pytest

from ml.figures.shapes import Folded, Heat, Line, Lines, Missing, Table
from ml.pages import preparing
from ml.pages.document import Document, PageName, read_kept
from ml.pages.features import FEATURES, FeatureMonth, FeatureMonths, feature_section, read_features
from ml.pages.preparing import prepare_pages, read_pages
from ml.pages.reading import Tables
from ml.registry.deployment import Challenger, read_deployment
from tests.model_factory import SOURCE, publish_model
from tests.prepared_tables import SCRIPT, fill_tables
from warehouse.errors import MonitoringError
from warehouse.lake.connection import writer
from warehouse.settings import Settings


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lender in service, with tables of 2025-01 and 2025-03."""
    settings = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path_factory.mktemp("pages") / "home")})
    publish_model(settings)
    fill_tables(settings, feature=SCRIPT)
    return settings


def _figures(document: Document) -> Iterator[object]:
    for section in document.sections:
        for figure in section.figures:
            yield figure
            if isinstance(figure, Folded):
                yield from figure.figures


def _named(document: Document) -> Mapping[str, object]:
    return {str(getattr(figure, "name", "")): figure for figure in _figures(document)}


def _line(document: Document, figure: str, line: str) -> Line:
    found = _named(document)[figure]
    assert isinstance(found, Lines)
    return next(each for each in found.lines if each.name == line)


def test_a_month_without_data_is_a_gap_in_every_picture(lender: Settings) -> None:
    documents = read_pages(lender, SOURCE).documents

    auc = _named(documents["monitoring"])["performance-auc"]
    assert isinstance(auc, Lines)
    assert auc.places == ["2025-01", "2025-02", "2025-03"]
    assert _line(documents["monitoring"], "performance-auc", "CBPE").values == [0.7, None, 0.7]
    assert _line(documents["monitoring"], "performance-auc", "true, of mature labels").values == [0.72, None, None]
    assert _line(documents["portfolio"], "approval-rate", "approved").values == [0.5, None, 0.5]
    assert _line(documents["portfolio"], "vintage-default-share", "2025-01").values == [0.01, 0.02, None, 0.05]


def test_true_values_have_intervals_that_hold_them(lender: Settings) -> None:
    line = _line(read_pages(lender, SOURCE).documents["monitoring"], "performance-auc", "true, of mature labels")

    assert line.low[0] is not None
    assert line.high[0] is not None
    assert 0.6 < line.low[0] < 0.72 < line.high[0] < 0.8


def test_prepared_pages_are_read_back_as_they_were(lender: Settings) -> None:
    sizes = prepare_pages(lender, SOURCE)
    prepared = read_pages(lender, SOURCE)

    kept = read_kept(lender, SOURCE, "monitoring", Document)
    features = read_kept(lender, SOURCE, FEATURES, list[FeatureMonths])
    assert set(sizes) == {"models", "monitoring", "portfolio", FEATURES}
    assert kept is not None
    assert msgspec.json.encode(kept.sections) == msgspec.json.encode(prepared.documents["monitoring"].sections)
    assert features is not None
    assert [each.feature for each in features] == [SCRIPT]


def test_the_drift_map_leads_from_each_cell_to_both_distributions(lender: Settings) -> None:
    prepared = read_pages(lender, SOURCE)

    found = _named(prepared.documents["monitoring"])["drift-map"]
    assert isinstance(found, Heat)
    [row] = found.rows
    newest = row.cells[0]
    assert newest is not None
    assert (newest.text, newest.level) == ("0.40", 3)
    assert newest.href.startswith(f"/monitoring?lender={SOURCE}&feature=%3Cscript%3E")
    bars = feature_section(prepared.features[0], "2025-01").figures[0]
    assert [(line.name, line.values) for line in bars.lines] == [  # type: ignore[union-attr]  # bars
        ("training rows", [0.6, 0.4]),
        ("2025-01", [0.2, 0.8]),
    ]


def test_a_drift_within_the_limit_of_its_index_says_what_moved() -> None:
    month = FeatureMonth(
        month="2025-01",
        psi=0.1,
        psi_limit=0.2,
        ks=0.3,
        ks_limit=0.1,
        missing_then=0.145,
        missing=0.0,
        missing_limit=0.1,
        is_drifted=True,
        is_severe=False,
        bins=[("all", 1, 1)],
    )

    assert feature_section(FeatureMonths("region", [month]), None).text == (
        "PSI 0.100, limit 0.200; Kolmogorov-Smirnov distance 0.300, limit 0.100; missing in 0.0% of the decisions and "
        "14.5% of the training rows, which may differ by 10.0%: has drifted."
    )


def test_estimates_are_graded_beside_them_once_labels_are_mature(lender: Settings) -> None:
    documents = read_pages(lender, SOURCE).documents
    earlier = read_pages(lender, SOURCE, date(2024, 12, 1)).documents

    found = _named(documents["monitoring"])["estimate-grades"]
    assert isinstance(found, Table)
    assert [list(row) for row in found.rows] == [["AUC", "CBPE", "2", "50%", "95%", "-0.050", "0.070"]]
    assert "estimate-grades" not in _named(earlier["monitoring"])


def test_a_month_that_only_an_earlier_champion_graded_counts_too(home: Settings) -> None:
    publish_model(home)
    fill_tables(home, feature=SCRIPT)
    with writer("tests", home) as con:
        con.execute(
            "insert into monitoring.performance_estimates by name "
            "select * replace (0 as model_version, 'replaced' as role, (month - interval 2 months)::date as month) "
            "from monitoring.performance_estimates where is_covered is not null"
        )

    found = _named(read_pages(home, SOURCE).documents["monitoring"])["estimate-grades"]

    # of two versions and two months each, three months; the second is that of the newer version
    assert isinstance(found, Table)
    assert found.rows[0][2] == "3"


def test_later_months_are_left_out_of_an_earlier_report(lender: Settings) -> None:
    prepared = read_pages(lender, SOURCE, date(2025, 1, 1))

    assert prepared.documents["portfolio"].until == "2025-01"
    assert _line(prepared.documents["monitoring"], "performance-auc", "CBPE").values == [0.7]
    assert prepared.documents["monitoring"].summary == "2025-01: 0 of 1 features have drifted."


def test_a_version_on_trial_has_its_own_section(lender: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    served = read_deployment(lender, SOURCE)
    assert served is not None
    on_trial = replace(served, challenger=Challenger("shadow", None, replace(served, model_version=1)))
    monkeypatch.setattr(preparing, "read_deployment", lambda *_: replace(on_trial, model_version=9))

    document = read_pages(lender, SOURCE).documents["monitoring"]

    assert [each.heading for each in document.sections][1] == "On trial: version 1, in shadow"
    assert _line(document, "trial-auc", "CBPE").values == [0.7, None, 0.7]


@pytest.mark.parametrize("name", ["models", "monitoring", "portfolio"])
def test_what_is_missing_is_said_with_the_command_that_makes_it(home: Settings, name: PageName) -> None:
    with writer("tests", home):
        pass  # a lake without any row

    document = read_pages(home, SOURCE).documents[name]

    missing = [figure for figure in _figures(document) if isinstance(figure, Missing)]
    assert missing
    assert all(figure.what.endswith((".", ":")) for figure in missing)
    # what no command makes has none
    without = [figure.what for figure in missing if not figure.command.startswith("loanlake ")]
    assert all("statement" in what for what in without)


def test_a_table_of_another_version_is_named(home: Settings) -> None:
    publish_model(home)
    with writer("tests", home) as con:
        con.execute("alter table monitoring.feature_drift drop column ks_limit")
        with pytest.raises(MonitoringError, match=r"ks_limit.*load the files into a new home"):
            read_features(Tables(con, SOURCE), {"model_name": "m", "model_version": 1})


def test_a_damaged_page_is_named(home: Settings) -> None:
    path = home.page(SOURCE, "models")
    path.parent.mkdir(parents=True)
    path.write_text("{")

    with pytest.raises(MonitoringError, match=r"models\.json must hold the prepared page of simulated: .*materialise"):
        read_kept(home, SOURCE, "models", Document)
