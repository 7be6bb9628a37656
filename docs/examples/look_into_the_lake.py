"""A worked notebook: look at the data, trace a value, compare two feature versions, find a segment that went wrong.

Cells are separated by ``# %%``: VS Code, PyCharm and Jupyter with jupytext open this file as a notebook, and
``python docs/examples/look_into_the_lake.py`` runs it whole. It reads the home of ``LOANLAKE_HOME``, by default that
of ``make run``, and writes nothing.
"""

# %% [markdown]
# ## The lake, read-only
# Every table of production, while anything else runs. `show` prints a result as a table.

# %%
from collections.abc import Sequence

from ml.decisions.borrower_features import features
from ml.decisions.lineage import trace_decision
from warehouse.features.contract import FeatureContract
from warehouse.lake.connection import connect
from warehouse.settings import Settings

settings = Settings.from_environment()
lake = connect(settings)


def show(query: str, parameters: Sequence[object] = ()) -> None:
    """Print the result of a query, all rows."""
    print(lake.execute(query, list(parameters)).df().to_string(index=False), end="\n\n")


# %% [markdown]
# ## Look at the data
# How many applied, and how those whose outcome is known ended. The newest months have few outcomes: their share of
# defaults counts only the early ones, so it cannot be compared with that of older months.

# %%
show("""
    select applications.source, year(decided_at) as year, count(*) as n_applications, count(is_default) as n_outcomes,
        round(avg(is_default::int), 3) as default_share_of_outcomes
    from core.int_applications as applications left join core.int_outcomes using (application_id)
    group by all order by all
""")
show("select * from core.int_applications order by decided_at desc limit 3")

# %% [markdown]
# ## Trace one value to its source rows
# The decision with the highest share of late statements: the logged value of the feature, its SQL, the inputs that it
# is made of, and the rows that were known before the decision, down to files and lines. `loanlake lineage` prints the
# same for any id.

# %%
NAME = "late_share_6m"
version = lake.execute("select max(feature_version) from serving.predictions").fetchall()[0][0]
[(decision_id,)] = lake.execute(
    f"select decision_id from serving.decision_features_{version} order by {NAME} desc nulls last, decision_id limit 1"
).fetchall()
traced = trace_decision(settings, decision_id)

[feature] = [each for each in traced.features if each.name == NAME]
print(f"decision {decision_id} on {traced.decision['application_id']}")
print(f"{NAME} = {feature.value}, which is {feature.sql}")
for given in traced.inputs:
    if given.name in feature.inputs:
        print(f"  {given.name} = {given.value}: {given.came_from}")
for check in traced.checks:
    print(f"  {check.name}: logged {check.logged}, counted again {check.found}")
for step in traced.raw:
    print(f"  {step.table}: {len(step.rows)} rows, such as {step.rows[0]['file']} line {step.rows[0]['line']}")
print()

# %% [markdown]
# What the online store knows of the same borrower now, which is what the API's `/v1/features` answers:

# %%
[now] = features([traced.decision["borrower_id"]], lender=str(traced.decision["source"]))
print(f"{NAME} now: {(now.features or {}).get(NAME)}, {now.history}, as of {now.as_of}, snapshot {now.lake_snapshot}\n")

# %% [markdown]
# ## Compare two versions of the features
# A version that was trained on is closed, so features of both must agree on every application. What is new, and how
# often it has a value, is what the later version adds.

# %%
manifest = settings.dbt_target / "manifest.json"
earlier, later = (FeatureContract.from_manifest(manifest, version=each) for each in (1, 2))
tables = [f"features.{contract.tables.features_model}" for contract in (earlier, later)]
joined = "from {} as earlier inner join {} as later using (application_id)".format(*tables)

shared = [name for name in later.feature_names if name in earlier.feature_names]
differs = " + ".join(f"(earlier.{name} is distinct from later.{name})::int" for name in shared)
[(n_rows, n_different)] = lake.execute(f"select count(*), sum({differs}) {joined}").fetchall()
print(f"{len(shared)} features in both versions, {n_rows} applications: {n_different} values differ\n")

new = [name for name in later.feature_names if name not in shared]
columns = ", ".join(f"count(later.{name}) / count(*) as {name}" for name in new)
show(f"unpivot (select {columns} {joined}) on columns(*) into name feature value known_share order by known_share")

# %% [markdown]
# ## Find what drifted
# PSI over its limit, of the newest month that was measured.

# %%
show("""
    select month, feature, round(psi, 3) as psi, psi_limit, is_drifted, n_current
    from monitoring.feature_drift
    where month = (select max(month) from monitoring.feature_drift)
    order by psi / psi_limit desc limit 8
""")

# %% [markdown]
# ## Find a segment that went wrong
# Defaults that the scores expected against those that came, among matured decisions of all versions. `z` is the
# difference in standard deviations; with many segments some are beyond 2 by chance. Look at the worst one by year
# before you believe it.

# %%
SEGMENTS = ("purpose", "region", "home_ownership", "income_verified", "term_months")
lake.execute(f"""
    create or replace temp table matured as
    select decisions.decided_at, probability, labels.is_default::int as defaulted,
        {", ".join(f"coalesce(applications.{name}::varchar, 'missing') as {name}" for name in SEGMENTS)}
    from serving.predictions as decisions
    inner join training.lbl_default as labels using (application_id)
    inner join core.int_applications as applications using (application_id)
""")
FIGURES = """
    count(*) as n_matured, round(sum(probability), 1) as expected_defaults, sum(defaulted) as defaults,
    round((sum(defaulted) - sum(probability)) / sqrt(sum(probability * (1 - probability))), 2) as z
"""
by_segment = " union all ".join(
    f"select '{name}' as segment, {name} as member, {FIGURES} from matured group by {name}" for name in SEGMENTS
)
show(f"from ({by_segment}) where n_matured >= 30 order by abs(z) desc limit 8")

worst = lake.execute(f"select segment, member from ({by_segment}) where n_matured >= 30 order by abs(z) desc limit 1")
for segment, member in worst.fetchall():
    print(f"{segment} {member}, by year of the decision:")
    show(
        f"select year(decided_at) as year, {FIGURES} from matured where {segment} = $1 group by 1 order by 1", [member]
    )

# %%
lake.close()
