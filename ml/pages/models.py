"""The page of models: what is registered, how good it is, what the gates said, and when each version served."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ml.figures.forms import between, written
from ml.figures.shapes import Figure, Folded, Line, Lines, Missing, Note, Span, SpanRow, Spans, Table
from ml.judging.metrics import candidate_on_test, measured_split
from ml.pages.document import Section
from ml.pages.reading import Row, Tables
from ml.registry.deployment import Change, bundle_directory, read_history
from ml.registry.version_states import VersionState, version_states
from warehouse.settings import Settings


def model_sections(tables: Tables, settings: Settings) -> list[Section]:
    """Sections of prepared figures; :func:`service_section` is read anew for each page."""
    source = tables.source
    states = version_states(settings, source)
    bundles = {state.version.version: _Bundle(settings, state) for state in states}
    gates = tables.rows(_GATES)
    return [
        Section("versions", "Versions", _versions(list(bundles.values()), source)),
        Section("families", "Families compared", _families(tables.rows(_COMPARISON), source)),
        Section("gates", "Gates", _gates(gates, states, source)),
        Section("dossiers", "Dossiers", [_dossier(bundle) for bundle in reversed(bundles.values())]),
    ]


def model_summary(settings: Settings, source: str) -> str:
    """One sentence about the lender's versions."""
    states = version_states(settings, source)
    served = next((state.version.version for state in states if state.state == "served"), None)
    begun = f"version {served} is in service" if served is not None else "no version is in service"
    return f"{len(states)} registered; {begun}."


def service_section(settings: Settings, source: str, *, now: str) -> Section:
    """When each version served, and its state, as the home's files say at this moment."""
    history, states = read_history(settings, source), version_states(settings, source)
    figures: list[Figure] = []
    if history:
        figures.append(
            Spans(
                name="service-times",
                title="When each version served",
                about="A champion answers applicants, a challenger a share of them; a shadow scores without answering.",
                rows=service_rows(history),
                until=now,
            )
        )
    else:
        figures.append(Missing("No version was ever in service.", f"loanlake run {source}"))
    if states:
        figures.append(
            Table(
                name="states",
                title="State of each version",
                header=["Version", "State", "Features", "Registered", "Refused by", "Approved by"],
                n_texts=6,
                rows=[_state_row(state) for state in reversed(states)],
            )
        )
    return Section("service", "In service", figures)


def service_rows(history: Sequence[Change]) -> list[SpanRow]:
    """The spans of each version, by the changes of what is served, oldest first."""
    open_since: dict[tuple[int, str], str] = {}
    spans: dict[int, list[Span]] = {}
    for change in history:
        now = {(change.deployment.model_version, "champion")}
        challenger = change.deployment.challenger
        if challenger is not None:
            role = "shadow" if challenger.mode == "shadow" else "challenger"
            now.add((challenger.deployment.model_version, role))
        for version, role in [each for each in open_since if each not in now]:
            spans.setdefault(version, []).append(Span(open_since.pop((version, role)), change.at, role))
        for each in now:
            open_since.setdefault(each, change.at)
    for (version, role), since in open_since.items():
        spans.setdefault(version, []).append(Span(since, None, role))
    return [SpanRow(f"version {version}", spans[version]) for version in sorted(spans)]


class _Bundle:
    """A version with what its bundle says of it; the bundle may be gone."""

    def __init__(self, settings: Settings, state: VersionState):
        self.state, self.version = state, state.version
        self.directory = bundle_directory(settings, self.version.name, self.version.version)
        self.manifest = self._json("bundle.json")
        self.lineage = self._json("lineage.json")
        self.policy = self._json("policy.json")
        self.metrics = self._json("metrics.json")

    def _json(self, name: str) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = json.loads((self.directory / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    @property
    def test(self) -> Mapping[str, Any]:
        return candidate_on_test(self.metrics) if self.metrics else {}


def _versions(bundles: Sequence[_Bundle], source: str) -> list[Figure]:
    known = [bundle for bundle in bundles if bundle.test]
    if not known:
        return [Missing("No version is registered.", f"loanlake run {source}")]
    lost = [str(bundle.version.version) for bundle in bundles if not bundle.test]
    figures: list[Figure] = [
        Lines(
            name="versions-auc",
            title="AUC on the test loans of each version",
            about="With 95 % intervals. Versions have their own test loans: a difference may come from these.",
            places=[f"v{bundle.version.version}" for bundle in known],
            place_title="Version",
            form="index",
            lines=[
                Line(
                    name="AUC",
                    values=[bundle.test["auc"] for bundle in known],
                    low=[bundle.test["auc_low"] for bundle in known],
                    high=[bundle.test["auc_high"] for bundle in known],
                    kind="points",
                )
            ],
        ),
        Table(
            name="versions-figures",
            title="Figures on the test loans",
            header=["Version", "Family", "Test", "Trained", "Loans", "AUC", "KS", "Brier", "ECE"],
            n_texts=4,
            rows=[_figures_row(bundle) for bundle in reversed(known)],
        ),
    ]
    if lost:
        figures.append(
            Note(f"The bundles of these versions cannot be read, so they have no figures: {', '.join(lost)}.")
        )
    return figures


def _figures_row(bundle: _Bundle) -> list[str]:
    test = bundle.test
    return [
        f"version {bundle.version.version}",
        str(bundle.manifest.get("family", "–")),
        measured_split(bundle.metrics),
        str(bundle.lineage.get("trained_at", "–"))[:10],
        f"{test['n']:,}",
        written(test["auc"], "index") + between(test["auc_low"], test["auc_high"], "index"),
        written(test["ks"], "index"),
        f"{test['brier']:.4f}",
        f"{test['ece']:.4f}",
    ]


def _families(rows: Sequence[Row], source: str) -> list[Figure]:
    # the API, which draws when versions served, does without DuckDB
    from ml.judging.evaluation import BASE_RATE

    if not rows:
        return [Missing("No families were compared.", f"loanlake model compare {source}")]
    # the base rate ranks no loan: drawn, it would press the others together
    first, ranked = rows[0], [row for row in rows if row["auc"] is not None and row["model"] != BASE_RATE]
    return [
        Lines(
            name="families-auc",
            title="AUC of each family on the same test loans",
            about=f"Compared at {first['compared_at']:%Y-%m-%d %H:%M} UTC on {first['n_test']:,} test loans "
            f"({first['split_kind']}), with 95 % intervals.",
            places=[row["model"] for row in ranked],
            place_title="Model",
            form="index",
            lines=[
                Line(
                    name="AUC",
                    values=[row["auc"] for row in ranked],
                    low=[row["auc_low"] for row in ranked],
                    high=[row["auc_high"] for row in ranked],
                    kind="points",
                )
            ],
        ),
        Table(
            name="families-figures",
            title=f"Figures, and differences from {first['compared_with']}",
            about=f"from models.comparison where comparison_id = '{first['comparison_id']}'",
            header=["Model", "AUC", "Difference of AUC", "KS", "Brier", "ECE", "Training"],
            rows=[_family_row(row) for row in rows],
        ),
    ]


def _family_row(row: Row) -> list[str]:
    difference = written(row["auc_difference"], "index")
    return [
        row["model"].replace("_", " "),
        written(row["auc"], "index") + between(row["auc_low"], row["auc_high"], "index"),
        difference + between(row["auc_difference_low"], row["auc_difference_high"], "index"),
        written(row["ks"], "index"),
        "–" if row["brier"] is None else f"{row['brier']:.4f}",
        "–" if row["ece"] is None else f"{row['ece']:.4f}",
        "–" if row["training_seconds"] is None else f"{row['training_seconds']:,.0f} s",
    ]


def _gates(rows: Sequence[Row], states: Sequence[VersionState], source: str) -> list[Figure]:
    if not rows:
        return [Missing("No gate was evaluated.", f"loanlake run {source}")]
    by_version: dict[int, list[Row]] = {}
    for row in rows:
        by_version.setdefault(row["model_version"], []).append(row)
    approvals = {state.version.version: state.approval for state in states}
    found: list[Figure] = []
    for version in sorted(by_version, reverse=True):
        of_version = by_version[version]
        refused = [row for row in of_version if not row["passed"]]
        approval = approvals.get(version)
        overridden = approval.overridden if approval is not None else ()
        verdict = (
            f"refused by {', '.join(row['gate'].replace('_', ' ') for row in refused)}" if refused else "all passed"
        )
        table = Table(
            name=f"gates-{version}",
            title=f"Gates of version {version}",
            header=["Gate", "Result", "Required", "Found", "Message"],
            n_texts=5,
            rows=[
                [
                    row["gate"].replace("_", " "),
                    "passed" if row["passed"] else "overridden" if row["gate"] in overridden else "refused",
                    row["required"] or "–",
                    row["found"] or "–",
                    row["message"] or "–",
                ]
                for row in [*refused, *(row for row in of_version if row["passed"])]
            ],
        )
        found.append(Folded(f"Version {version}: {len(of_version)} gates, {verdict}", [table]))
    return found


def _dossier(bundle: _Bundle) -> Figure:
    version = bundle.version
    facts = {
        "model": version.name,
        "family": bundle.manifest.get("family"),
        "features": version.feature_version,
        "registered": f"{version.created_at:%Y-%m-%d %H:%M} UTC",
        "trained by": bundle.lineage.get("trained_by"),
        "learned from": f"{bundle.lineage.get('decided_from', '–')} to {bundle.lineage.get('decided_to', '–')}",
        "rows": ", ".join(f"{name} {n:,}" for name, n in bundle.lineage.get("rows", {}).items()),
        "lake snapshot": version.lake_snapshot,
        "SHA-256 of the training rows": bundle.lineage.get("training_set_sha256"),
        "SHA-256 of the bundle": version.bundle_digest,
        "git commit": bundle.lineage.get("git_commit"),
        **{
            f"guarantee: {name.replace('_', ' ')}": value
            for name, value in bundle.manifest.get("guarantees", {}).items()
        },
        **_flat("setting", bundle.lineage.get("settings", {})),
        **_flat("policy", {name: value for name, value in bundle.policy.items() if name != "bands"}),
        **{f"package {name}": value for name, value in bundle.lineage.get("packages", {}).items()},
    }
    table = Table(
        name=f"dossier-{version.version}",
        title=f"{version.name} version {version.version}",
        about=f"Its training rows: loanlake model training-set {version.version} --lender {version.source} --to FILE",
        header=["", ""],
        n_texts=2,
        rows=[[name, _shown(value)] for name, value in facts.items()],
    )
    return Folded(f"Version {version.version}: data, settings, guarantees", [table])


def _flat(prefix: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        inner = f"{prefix}: {name}"
        found |= _flat(inner, value) if isinstance(value, dict) else {inner: value}
    return found


def _shown(value: object) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value) if isinstance(value, list) else str(value)


def _state_row(state: VersionState) -> list[str]:
    version, approval = state.version, state.approval
    return [
        f"version {version.version}",
        {"served": "in service", "on_trial": "on trial"}.get(state.state, state.state),
        version.feature_version,
        f"{version.created_at:%Y-%m-%d}",
        ", ".join(gate.replace("_", " ") for gate in version.refused_by) or "–",
        f"{approval.by}: {approval.reason}" if approval is not None else "–",
    ]


_GATES = """
select model_version, gate, passed, required, found, message
from monitoring.gate_results where source = $source order by model_version, gate
"""
_COMPARISON = """
select * from models.comparison
where source = $source
    and comparison_id = (
        select max_by(comparison_id, compared_at) from models.comparison where source = $source
    )
order by auc desc nulls last, model
"""
