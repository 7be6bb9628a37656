"""A search on one HTML page under the home's reports: the finding, the plots, and every trial."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment

from ml.search.results import SearchResult, SearchTrial
from warehouse.files.replacing import replace_file
from warehouse.settings import Settings


def write_search_page(settings: Settings, result: SearchResult, plots: Mapping[str, bytes]) -> Path:
    """Write the page and its index entry; return the page's path."""
    path = settings.reports / "searches" / result.source / f"{result.search_id}.html"
    about = {
        "source": result.source,
        "family": result.family,
        "n_trials": len(result.trials),
        "finding": result.finding,
    }
    replace_file(path, _text(result, plots))
    replace_file(path.with_suffix(".json"), json.dumps({"about": about}))
    return path


def file_lines(trial: SearchTrial) -> list[str]:
    """What a lender's file says so that each run trains with these settings; left out features are an option."""
    lines = ["model:", f"  family: {trial.settings.model.name}", "  settings:"]
    known = vars(trial.settings.model)
    lines += [f"    {name}: {known[name]:g}" for name in trial.values if name in known]
    if trial.settings.half_life_months is not None:
        lines.append(f"  half_life_months: {trial.settings.half_life_months:g}")
    return lines


def _text(result: SearchResult, plots: Mapping[str, bytes]) -> str:
    in_order = sorted(result.trials, key=lambda trial: (trial.is_pruned, bool(trial.missed), trial.log_loss))
    return _PAGE.render(
        result=result,
        plots={name.replace("_", " "): base64.b64encode(png).decode() for name, png in plots.items()},
        trials=in_order,
        names=list(in_order[0].values) if in_order else [],
        lines=file_lines(result.best) if result.best else [],
        importance=sorted(result.importance.items(), key=lambda item: -item[1]),
    )


_PAGE = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ result.source }}: search of {{ result.family }} · Loanlake</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; color: #16202a }
p { max-width: 46rem } .finding { font-size: 1.2rem; font-weight: 600 }
img { width: min(100%, 36rem); height: auto; margin: .5rem .5rem 0 0; vertical-align: top }
div { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem }
th, td { text-align: left; vertical-align: top; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid #8886 }
pre { overflow-x: auto; background: #f3f5f7; padding: .6rem }
</style>
<h1>{{ result.source }}: search of {{ result.family }}</h1>
<p class="finding">{{ result.finding[:1] | upper }}{{ result.finding[1:] }}.</p>
<p>{{ result.trials | length }} trials on {{ "{:,}".format(result.n_rows) }}
{% if result.n_rows < result.n_of %}
rows, drawn evenly from {{ "{:,}".format(result.n_of) }}
{% endif %}
train and tune rows. Test rows have no part in it. Folds: <strong>{{ result.fold_kind }}</strong>
({{ result.fold_reason }}).
{% if result.fold_kind == "stratified" %}
They say nothing of how a model does in a later month.
{% else %}
Each fold's rows were decided after the rows that its model learned from.
{% endif %}
The best of many trials looks better on the folds than it is: the gates judge it on test rows, which chose nothing.</p>
<p>Limits, on the mean of the folds: calibration error at most {{ result.limits.excess_ece }} above chance, PSI of the
scores at most {{ result.limits.psi }}
{%- if result.limits.most_features %}, at most {{ result.limits.most_features }} features{% endif %}.</p>
{% for name, png in plots.items() %}
<img alt="{{ name }}" src="data:image/png;base64,{{ png }}">
{% endfor %}
{% if result.best %}
<h2>Settings of trial {{ result.best.number }}</h2>
<p>In the lender's file, they are the settings of each run:</p>
<pre>{{ lines | join("\\n") }}</pre>
{% if result.best.left_out %}
<p>Features left out, by <code>--exclude</code>: {{ result.best.left_out | join(", ") }}</p>
{% endif %}
<h2>Folds</h2>
<table>
<tr><th>fold<th>loans<th>defaults<th>log loss, best<th>present settings<th>AUC, best<th>present settings
{% for fold in result.best.folds %}
{% set other = result.default.folds[loop.index0] if result.default else none %}
<tr><td>{{ fold.fold }}<td>{{ "{:,}".format(fold.n) }}<td>{{ "{:,}".format(fold.n_defaults) -}}
<td>{{ "%.4f" | format(fold.log_loss) }}<td>{{ "%.4f" | format(other.log_loss) if other else "–" -}}
<td>{{ "%.4f" | format(fold.auc) }}<td>{{ "%.4f" | format(other.auc) if other else "–" }}
{% endfor %}
</table>
{% endif %}
<h2>Trials</h2>
<div><table>
<tr><th>trial<th>log loss<th>spread<th>AUC<th>PSI<th>features<th>misses{% for name in names %}<th>{{ name }}{% endfor %}

{% for trial in trials %}
<tr><td>{{ trial.number }}{{ " (present settings)" if trial.is_default }}
{%- if trial.is_pruned %} ended after {{ trial.folds | length }} folds{% endif -%}
<td>{{ "%.4f" | format(trial.log_loss) }}<td>{{ "%.4f" | format(trial.log_loss_spread) -}}
<td>{{ "%.4f" | format(trial.mean("auc")) }}<td>{{ "%.3f" | format(trial.mean("psi")) -}}
<td>{{ trial.n_features }}<td>{{ trial.missed | join(", ") }}
{%- for name in names %}<td>{{ "%.4g" | format(trial.values[name]) }}{% endfor %}

{% endfor %}
</table></div>
<h2>Features, by what their values are worth</h2>
<p>How much the log loss of the present settings rises on the folds when a feature's values are shuffled. The last ones
are left out first. The folds also judge the trials, so that leaving features out looks a little better than it is.</p>
<table>
<tr><th>feature<th>log loss
{% for name, cost in importance %}
<tr><td>{{ name }}<td>{{ "%+.5f" | format(cost) }}
{% endfor %}
</table>
<h2>Where the figures come from</h2>
<pre>from models.search_trials where search_id = '{{ result.search_id }}'</pre>
<p>Rows of the lake's snapshot {{ result.lake_snapshot }}, features {{ result.feature_version }}, SHA-256 of the
training set <code>{{ result.training_set_sha256 }}</code>.</p>
</html>
""")
