"""A candidate on one HTML page under the home's reports: headline figures and plots, then gates and tables.

Dagster shows Markdown only after a click, and MLflow one plot at a time; both link to this page.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from orchestration.defs.training.candidates import CandidateDirectory, Judgement
from orchestration.lib import pages
from warehouse.files.replacing import replace_file
from warehouse.settings import Settings

#: The order of the plots, by frequency of questions; others follow.
_PLOTS = ("roc", "calibration", "score_distribution", "feature_importance")


def write_model_page(settings: Settings, source: str, directory: CandidateDirectory, judgement: Judgement) -> Path:
    """Write the page of a judged candidate and its index entry; return the page's path."""
    from ml.judging.metrics import candidate_on_test

    metrics = json.loads((directory.bundle / "metrics.json").read_text())
    lineage = json.loads((directory.bundle / "lineage.json").read_text())
    test = candidate_on_test(metrics)
    path = settings.reports / "models" / source / f"{directory.fingerprint[:12]}.html"
    about = {
        "source": source,
        "trained_at": str(lineage["trained_at"])[:16].replace("T", " "),
        "family": lineage["settings"]["family"],
        "auc": test["auc"],
        "refused_by": list(judgement.refused),
    }
    shown = {**about, "family": family_text(lineage)}
    replace_file(path, _page(shown, metrics["measured"], test, judgement, directory))
    replace_file(path.with_suffix(".json"), json.dumps({"about": about}))
    return path


def family_text(lineage: Mapping[str, Any]) -> str:
    """The family of a model, from its ``lineage.json``, and why training chose it, if it did."""
    from ml.training.family_choice import FamilyChoice

    choice = lineage["family_choice"]
    return FamilyChoice(**choice).text if choice else str(lineage["settings"]["family"])


def guarantees_text(bundle: Path) -> str:
    """What the bundle's manifest states of the model: its scores, reasons and directions of risk."""
    from ml.families.protocol import Guarantees

    return Guarantees(**json.loads((bundle / "bundle.json").read_text())["guarantees"]).text


def _page(
    about: dict[str, Any],
    measured: Sequence[dict[str, Any]],
    test: dict[str, Any],
    judgement: Judgement,
    directory: CandidateDirectory,
) -> str:
    from ml.judging.metrics import measured_split

    title = f"{about['source']}, trained {about['trained_at']}"
    headline = [
        (
            f"AUC on test ({measured_split({'measured': measured})})",
            f"{pages.figure(test['auc'])} ({pages.figure(test['auc_low'])}–{pages.figure(test['auc_high'])})",
        ),
        *(
            (name.upper() if name == "ks" else name.title(), pages.figure(test[name]))
            for name in ("ks", "gini", "brier")
        ),
        ("Loans in test", f"{test['n']:,}"),
        ("Family", about["family"]),
        ("Guarantees", guarantees_text(directory.bundle)),
        ("Gates", f"refused by {', '.join(judgement.refused)}" if judgement.refused else "all passed"),
    ]
    plots = directory.read_plots()
    names = sorted(plots, key=lambda name: (_PLOTS.index(name) if name in _PLOTS else len(_PLOTS), name))
    pictures = "".join(
        f'<img alt="{escape(name.replace("_", " "))}" src="data:image/png;base64,'
        f'{base64.b64encode(plots[name]).decode()}">\n'
        for name in names
    )
    gates = [
        [gate["gate"].replace("_", " "), "passed" if gate["passed"] else "refused", str(gate["message"])]
        for gate in judgement.gates
    ]
    return _HTML.format(
        title=escape(title),
        headline="".join(f"<div><dt>{escape(name)}<dd>{escape(value)}</div>\n" for name, value in headline),
        pictures=pictures,
        gates=_table(["gate", "", "message"], gates),
        # what a family writes for people, such as a printed scorecard
        papers="".join(
            f"<h2>{escape(paper.stem.capitalize())}</h2>\n{paper.read_text(encoding='utf-8')}\n"
            for paper in sorted(directory.bundle.glob("*.html"))
        ),
        splits=_table(pages.SPLIT_HEADER, pages.split_rows(measured)),
        months=_table(pages.MONTH_HEADER, pages.month_rows(measured)),
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"<tr>{''.join(f'<th>{escape(name)}' for name in header)}"]
    lines += [f"<tr>{''.join(f'<td>{escape(cell)}' for cell in row)}" for row in rows]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


_HTML = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Loanlake</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; color: #16202a }}
dl {{ display: flex; flex-wrap: wrap; gap: 1rem 2.5rem }} dt {{ color: #51606e }} dd {{ margin: 0; font-size: 1.3rem }}
img {{ width: min(100%, 36rem); height: auto; margin: .5rem .5rem 0 0 }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ text-align: left; padding: .2rem 1.2rem .2rem 0; border-bottom: 1px solid #8886 }}
</style>
<h1>{title}</h1>
<dl>
{headline}</dl>
{pictures}
<h2>Gates</h2>
{gates}
{papers}<h2>Splits and other models</h2>
{splits}
<h2>Months of decision</h2>
{months}
</html>
"""
