"""A comparison on one HTML page under the home's reports: the finding, the plots, every figure in plain words."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment

from ml.comparison.comparing import Comparison
from ml.comparison.figures import ModelFigures
from ml.judging.evaluation import BASE_RATE
from orchestration.defs.comparison.figure_texts import FIGURES, FOLDS, IMBALANCE, Figure
from orchestration.lib.pages import figure
from warehouse.files.replacing import replace_file
from warehouse.settings import Settings

_Line = tuple[str, str, list[str]]


def write_page(settings: Settings, comparison: Comparison, plots: Mapping[str, bytes]) -> Path:
    """Write the page and its index entry; return the page's path."""
    occasion = comparison.occasion
    path = settings.reports / "comparisons" / occasion.source / f"{occasion.comparison_id}.html"
    about = {
        "source": occasion.source,
        "compared_at": f"{occasion.compared_at:%Y-%m-%d %H:%M}",
        "models": [row.name for row in comparison.models if row.model != BASE_RATE],
        "finding": comparison.finding,
    }
    replace_file(path, _text(comparison, plots))
    replace_file(path.with_suffix(".json"), json.dumps({"about": about}))
    return path


def _text(comparison: Comparison, plots: Mapping[str, bytes]) -> str:
    models = comparison.models
    seen = [row for row in models if row.n_test_seen]
    months = sorted({row.month for row in comparison.months})
    by_month = {(row.model, row.month): row for row in comparison.months}
    ranked = [row for row in models if row.model != BASE_RATE]
    first = ranked[0].model
    balanced = [row for row in models if row.imbalance_auc_difference is not None]
    folded = [row for row in models if row.auc_fold_mean is not None]
    return _PAGE.render(
        comparison=comparison,
        occasion=comparison.occasion,
        reference=comparison.reference.name,
        names=[row.name for row in models],
        plots={name.replace("_", " "): base64.b64encode(png).decode() for name, png in plots.items()},
        groups={group: _lines(lines, models) for group, lines in FIGURES.items()},
        balanced_names=[row.name for row in balanced],
        balanced=_lines(IMBALANCE, balanced),
        folded_names=[row.name for row in folded],
        folded=_lines(FOLDS, folded),
        folds=_fold_lines(comparison, folded),
        month_names=[row.name for row in ranked],
        months=[
            (
                f"{month:%Y-%m}",
                f"{by_month[first, month].n:,} loans, {by_month[first, month].n_defaults:,} defaults",
                [figure(by_month[row.model, month].gini) for row in ranked],
            )
            for month in months
        ],
        seen=[(row.name, f"{row.n_test_seen:,}") for row in seen],
        settings=[
            (row.name, row.family, row.model_version, json.dumps(json.loads(row.settings), indent=1))
            for row in models
            if row.settings is not None
        ],
    )


def _lines(figures: Sequence[Figure], models: Sequence[ModelFigures]) -> list[_Line]:
    return [(line.name, line.meaning, [line.text(row) for row in models]) for line in figures]


def _fold_lines(comparison: Comparison, models: Sequence[ModelFigures]) -> list[_Line]:
    """The AUC of each fold."""
    by_fold = {(row.model, row.number): row for row in comparison.folds}
    found: list[_Line] = []
    for number in sorted({row.number for row in comparison.folds}):
        of_fold = [by_fold[row.model, number] for row in models]
        size = f"{of_fold[0].n:,} loans, {of_fold[0].n_defaults:,} defaults; learned from {of_fold[0].n_learned:,}"
        found.append((of_fold[0].fold, size, [figure(row.auc, ".4f") for row in of_fold]))
    return found


_PAGE = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""{% macro rows(names, lines) %}
{% for name, meaning, texts in lines %}
<tr><th>{{ name }}<small>{{ meaning }}</small>
{%- for text in texts %}<td data-model="{{ names[loop.index0] }}"><span>{{ text }}</span>{% endfor %}

{% endfor %}
{% endmacro %}
<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ occasion.source }}: families compared · Loanlake</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; color: #16202a }
p, li { max-width: 46rem } .finding { font-size: 1.2rem; font-weight: 600 }
img { width: min(100%, 36rem); height: auto; margin: .5rem .5rem 0 0; vertical-align: top }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem }
th, td { text-align: left; vertical-align: top; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid #8886 }
th small { display: block; font-weight: 400; color: #51606e; max-width: 18rem }
th.group { padding-top: 1.4rem; font-size: 1.05rem }
pre { overflow-x: auto; font-size: .8rem; background: #f3f5f7; padding: .6rem }
code { overflow-wrap: anywhere }
@media (max-width: 60rem) {
  thead { display: none }
  table, tbody, tr, th, td { display: block } tr { border-bottom: 1px solid #8886; padding: .5rem 0 }
  th, td { border: 0; padding: .1rem 0 } th small { max-width: none }
  td { display: flex; gap: 1rem; justify-content: space-between }
  td::before { content: attr(data-model); color: #51606e }
  td span { text-align: right }
}
</style>
<h1>{{ occasion.source }}: families of models compared</h1>
<p class="finding">{{ comparison.finding[:1] | upper }}{{ comparison.finding[1:] }}.</p>
<p>Each family was trained and calibrated on the same {{ "{:,}".format(occasion.n_train) }} train and
{{ "{:,}".format(occasion.n_tune) }} tune rows, and is measured on the same {{ "{:,}".format(occasion.n_test) }} test
loans, of which {{ "{:,}".format(occasion.n_test_defaults) }} defaulted.
{% if seen %}
No family has seen a test loan.
{% for name, n in seen %}
<strong>The {{ name }} was trained on another split and has learned from {{ n }} of them: its figures are
flattered.</strong>
{% endfor %}
{% else %}
No model has seen one of them before.
{% endif %}
{% if occasion.split_kind == "out of time" %}
The test is out of time: all of its loans were decided after the train rows.
{% if occasion.n_known_later %}
The outcomes are matured: {{ "{:,}".format(occasion.n_known_later) }} of the train and tune rows had an outcome that
became known only after the first test loan was decided. A model of that day could not have learned from them, and would
probably rank worse: <code>loanlake model walk-forward</code> measures models as known then.
{% endif %}
{% else %}
The test is a random split: its loans are of the same time as the train rows, so it says nothing about how a model
will do in a later month.
{% endif %}
Differences are against <strong>{{ reference }}</strong>. Nothing was registered or served.</p>
{% if comparison.left_out %}
<p>Left out:
{% for name, why in comparison.left_out.items() %}
{{ name }} {{ why }}{{ "." if loop.last else ";" }}
{% endfor %}
</p>
{% endif %}
{% for name, png in plots.items() %}
<img alt="{{ name }}" src="data:image/png;base64,{{ png }}">
{% endfor %}
<h2>Figures</h2>
<table>
<thead><tr><th>figure{% for name in names %}<th>{{ name }}{% endfor %}</thead>
{% for group, lines in groups.items() %}
<tr><th class="group" colspan="{{ names | length + 1 }}">{{ group }}
{{ rows(names, lines) }}
{% endfor %}
</table>
{% if balanced_names %}
<h2>What balancing brings</h2>
<p>Among the rows to learn from, defaults count as much as repaid loans, by weights or by invented rows (SMOTE). Raw
probabilities are then far too high; the calibration on tune rows, which stay as they are, repairs their level.</p>
<table>
<thead><tr><th>figure{% for name in balanced_names %}<th>{{ name }}{% endfor %}</thead>
{{ rows(balanced_names, balanced) }}
</table>
{% endif %}
<h2>How far the figures scatter</h2>
{% if folded_names %}
<p>Each family was trained again on {{ occasion.n_folds }} folds of all labelled rows. The folds are
<strong>{{ occasion.fold_kind }}</strong>: {{ comparison.fold_reason }}.
{% if occasion.fold_kind == "stratified" %}
They say nothing about how a model will do in a later month.
{% else %}
A fold's rows were decided after all rows that its model learned from.
{% endif %}
{% if occasion.fold_kind == "matured" %}
Outcomes that became known later were not there on the day: <code>loanlake model walk-forward</code> measures models as
known then.
{% endif %}
</p>
<table>
<thead><tr><th>figure{% for name in folded_names %}<th>{{ name }}{% endfor %}</thead>
{{ rows(folded_names, folded) }}
<tr><th class="group" colspan="{{ folded_names | length + 1 }}">AUC of each fold
{{ rows(folded_names, folds) }}
</table>
{% else %}
<p>No folds: {{ comparison.fold_reason or "none were wanted" }}.</p>
{% endif %}
{% if comparison.information_values %}
<h2>Information value of each feature</h2>
<p>How well a feature alone parts defaults from other loans, by the bins of the scorecard: below .02 not at all, above
.3 strongly (Siddiqi, 2006).</p>
<table>
<thead><tr><th>feature<th>information value<th>bins<th>missing</thead>
{% for value in comparison.information_values %}
<tr><th>{{ value.feature }}
<td data-model="information value"><span>{{ "%.3f" | format(value.information_value) }}</span>
<td data-model="bins"><span>{{ value.n_bins }}</span>
<td data-model="missing"><span>{{ "{:.1%}".format(value.missing_share) }}</span>
{% endfor %}
</table>
{% endif %}
<h2>Gini by month of decision</h2>
<table>
<thead><tr><th>month{% for name in month_names %}<th>{{ name }}{% endfor %}</thead>
{% for month, size, ginis in months %}
<tr><th>{{ month }}<small>{{ size }}</small>
{%- for gini in ginis %}<td data-model="{{ month_names[loop.index0] }}"><span>{{ gini }}</span>{% endfor %}

{% endfor %}
</table>
<h2>Where the figures come from</h2>
<p>Compared at {{ occasion.compared_at }} UTC by {{ occasion.compared_by }}: rows of the lake's snapshot
{{ occasion.lake_snapshot }}, features {{ occasion.feature_version }}, SHA-256 of the rows
<code>{{ occasion.training_set_sha256 }}</code>. The rows again, and these figures:</p>
<pre>{{ comparison.statement }}

from models.comparison where comparison_id = '{{ occasion.comparison_id }}'
from models.comparison_months where comparison_id = '{{ occasion.comparison_id }}'
from models.comparison_folds where comparison_id = '{{ occasion.comparison_id }}'
from models.information_values where comparison_id = '{{ occasion.comparison_id }}'</pre>
<p>Training and calibration use train and tune rows only; test rows choose nothing. Whoever picks the best of
several families by these figures has used the test once: the loans of the next months say whether it was right. The
times are of the machine that measured them.</p>
{% for name, family, version, text in settings %}
<details><summary>Settings: {{ name }}{% if version %} (version {{ version }}, {{ family }}){% endif %}</summary>
<pre>{{ text }}</pre></details>
{% endfor %}
</html>
""")
