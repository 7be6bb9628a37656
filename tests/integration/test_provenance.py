"""From a model back to its rows and from a decision back to its files, on a small lender that dbt really built.

One build, one model and one rebuild for the module. The rebuild comes after late rows of every kind and a restatement,
so whatever is read back must come from where the model and the decisions point, not from the tables as they stand.
"""

import gzip
import json
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from ml.batches.backfill import score_applications
from ml.batches.rows import request_fields
from ml.batches.runs import run_batch
from ml.bundle.bundle import load_bundle, write_bundle
from ml.commands import lineage
from ml.decisions.borrower_features import features
from ml.decisions.lineage import trace_decision
from ml.judging.evaluation import evaluate
from ml.registry.deployment import read_deployment
from ml.registry.training_set_export import export_training_set
from ml.rollout.promotion import publish
from ml.training.fitting import train
from ml.training.lineage import collect_lineage
from ml.training.reference import build_reference
from ml.training.training_set import read_training_set
from orchestration.people.commands import erase, export
from orchestration.people.erasure import erase_person
from orchestration.people.export import export_person
from tests.bytes_of_home import files_that_name
from tests.dbt_runs import dbt
from tests.model_factory import MODEL_NAME, SETTINGS, SOURCE, register_model
from warehouse.batches import BatchFiles, BatchRequest, BatchStates, SentRow
from warehouse.decision_log import Decision, ScoringFailure, append, create, find_decision
from warehouse.errors import NotFoundError
from warehouse.features.contract import FeatureContract
from warehouse.lake.connection import DEV, attach, connect, current_snapshot, writer
from warehouse.lake.dev_lakes import of_dev_lake
from warehouse.lake.maintenance import maintain
from warehouse.online_store import refresh
from warehouse.settings import Settings
from warehouse.sources import ingest_files, ingest_simulated

pytestmark = pytest.mark.slow

#: The rows that trained version 1, exported before anything else came in.
TRAINED_ON = "trained-on.parquet"


def _build(settings: Settings, *arguments: str) -> None:
    """Build the layers of the one lender there is: ten models of others would stay empty."""
    lenders = {"lenders": {SOURCE: ["applications", "statements", "outcomes", "demographics"]}}
    others = ("staging.lending_club", "staging.uci_credit_card", "portfolio", "monitoring")
    done = dbt(
        *("--quiet", "run", "--target", "prod", "--vars", json.dumps(lenders), "--exclude", *others, *arguments),
        target=settings.dbt_target,
        logs=settings.logs,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def _rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with connect(settings) as con:
        return con.execute(query).fetchall()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home with version 1 trained, published and used, and then rebuilt on late rows and a restatement."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LOANLAKE_CATALOG", "LOANLAKE_LAKE_DATA", "LOANLAKE_DEFAULT_LENDER", "LOANLAKE_REDIS_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("LOANLAKE_HOME", str(tmp_path_factory.mktemp("home")))
        settings = Settings.from_environment()
        ingest_simulated(settings, applications=1_500, months=40, seed=11)
        files = tmp_path_factory.mktemp("files")
        late_outcomes = _held_back(settings, files)
        _build(settings)
        contract = FeatureContract.from_manifest(settings.dbt_target / "manifest.json")
        with connect(settings) as con:
            rows = read_training_set(con, SOURCE, feature_version=contract.version)
        candidate = train(rows, contract, SETTINGS)
        bundle = write_bundle(
            settings.candidates / "one",
            candidate,
            contract,
            evaluation=evaluate(candidate, rows),
            lineage=collect_lineage(candidate, rows, contract, by="tests"),
            reference=build_reference(candidate, rows),
        )
        deployment = publish(settings, register_model(settings, bundle), by="tests")
        export_training_set(settings, 1, source=SOURCE, to=settings.home / TRAINED_ON)
        score_applications(settings, deployment)
        _restated(settings, files)
        _late(settings, files)
        ingest_files(SOURCE, [late_outcomes], settings, "outcomes")
        _build(settings, "--full-refresh")
        yield settings


def _held_back(settings: Settings, directory: Path) -> Path:
    """A file of the outcomes of a tenth of the applications, which the lake does not have yet."""
    path = directory / "late-outcomes.parquet"
    tenth = "raw.simulated_outcomes where application_id like '%7'"
    with writer("test", settings) as con:
        con.execute(f"copy (select * exclude (_file, _line, _loaded_at) from {tenth}) to '{path}'")
        con.execute(f"delete from {tenth}")
    return path


def _late(settings: Settings, directory: Path) -> None:
    """Applications decided long before the training that nobody had loaded, with their outcomes; and statements."""
    for entity, rows in (
        ("applications", "* replace ('late-' || application_id as application_id)"),
        ("outcomes", "* replace ('late-' || application_id as application_id)"),
        ("statements", "* replace (strftime(statement_on::date - 1, '%Y-%m-%d') as statement_on, '777.00' as balance)"),
    ):
        path = directory / f"late-{entity}-of-others.parquet"
        row_id = "borrower_id" if entity == "statements" else "application_id"
        with connect(settings) as con:
            con.execute(
                f"copy (select * exclude (_file, _line, _loaded_at) from (select {rows} from raw.simulated_{entity} "
                f"where _file not like 'restated%' and {row_id} like '%3')) to '{path}'"
            )
        ingest_files(SOURCE, [path], settings, entity)


def _restated(settings: Settings, directory: Path) -> None:
    """A restated statement and application for everyone."""
    for entity, change in (
        ("statements", "balance = '1.00', months_past_due = '9'"),
        ("applications", "annual_income = '1000'"),
    ):
        path = directory / f"restated-{entity}.parquet"
        with connect(settings) as con:
            con.execute(f"create temp table restated as from raw.simulated_{entity}")
            con.execute(f"update restated set {change}")
            con.execute(f"copy (select * exclude (_file, _line, _loaded_at) from restated) to '{path}'")
        ingest_files(SOURCE, [path], settings, entity)


def test_the_rows_that_trained_a_version_outlive_late_rows_restatements_and_a_full_refresh(settings: Settings) -> None:
    """Late are whole applications decided before the training, their outcomes, outcomes of others, and statements."""
    found = export_training_set(settings, 1, source=SOURCE, to=settings.home / "again.parquet")

    trained_on = pyarrow.parquet.read_table(settings.home / TRAINED_ON)
    assert pyarrow.parquet.read_table(settings.home / "again.parquet").equals(trained_on)
    assert found.n_rows == trained_on.num_rows == sum(found.rows_by_split.values())
    # what stands there now is another table, and no decision of it knew what was restated since
    now = _rows(settings, "select max(max_months_past_due_6m) < 9, min(annual_income) > 1000 from training.trn_default")
    assert now == [(True, True)]
    assert _rows(settings, "select max(max_months_past_due_6m) from features.ftr_online_borrowers") == [(9,)]
    as_trained = f"read_parquet('{settings.home / TRAINED_ON}')"
    ((n_late, n_held_back, are_of_then),) = _rows(
        settings,
        "select count_if(application_id like 'late-%'), count_if(application_id like '%7'), "
        f"max(decided_at) <= (select max(decided_at) from {as_trained}) from training.trn_default "
        f"where application_id not in (select application_id from {as_trained})",
    )
    assert n_late > 50
    assert n_held_back > 50
    assert are_of_then
    assert _rows(settings, "select count(*) > 0 from core.int_statements where balance = 777") == [(True,)]


def test_a_batch_decision_is_followed_to_the_lines_of_its_files(settings: Settings) -> None:
    """The restated statements were loaded later than the decision: they must not be shown as what it stood on."""
    ((decision_id, application_id),) = _rows(
        settings,
        "select decision_id, application_id from serving.predictions "
        "where json_extract(inputs, '$.n_prior_outcomes')::int > 0 "
        "and json_extract(inputs, '$.n_statements_6m')::int > 0 "
        "order by decision_id limit 1",
    )

    found = trace_decision(settings, decision_id)

    assert [check.agrees for check in found.checks] == [True, True, True]
    assert found.snapshot is not None
    raw = {rows.table: rows.rows for rows in found.raw}
    assert {str(row["file"]) for rows in raw.values() for row in rows} & {"restated-statements.parquet"} == set()
    mine = next(row for row in raw["raw.simulated_applications"] if row["application_id"] == application_id)
    line, sha256 = _rows(
        settings,
        "select a._line, f.sha256 from raw.simulated_applications a join raw.files f on f.file = a._file "
        f"where a.application_id = '{application_id}' and a._file not like 'restated%'",
    )[0]
    assert (mine["line"], mine["sha256"]) == (line, sha256)
    statements = next(rows for rows in found.core if rows.table == "core.int_statements")
    assert len(raw["raw.simulated_statements"]) == len(statements.rows) > 0
    feature = next(feature for feature in found.features if feature.name == "loan_to_income")
    assert set(feature.inputs) == {"requested_amount", "annual_income"}
    cohort = next(rows for rows in found.core if "source_default_rate" in rows.role)
    assert [row["default_rate"] for row in cohort.rows] == [
        each.value for each in found.inputs if each.name == "source_default_rate"
    ]


def test_every_statement_of_a_lineage_gives_its_rows_again(settings: Settings) -> None:
    ((decision_id,),) = _rows(settings, "select min(decision_id) from serving.predictions")

    found = trace_decision(settings, decision_id)

    with connect(settings) as con:
        for step in (*found.core, *found.staging, *found.raw):
            assert len(con.execute(step.sql).fetchall()) == len(step.rows), step.sql


def test_an_online_decision_names_its_caller_and_its_history(settings: Settings) -> None:
    ((borrower, as_of, n_statements, n_prior),) = _rows(
        settings,
        "select borrower_id, as_of, n_statements_6m, n_prior_applications from features.ftr_online_borrowers "
        "where n_statements_6m > 3 order by borrower_id limit 1",
    )
    # handed in before the decision and not decided until after it: known, and not one of its earlier applications
    waits = f"'waits' as application_id, timestamp '{as_of}' - interval 1 day as known_at"
    decided_at = f"timestamp '{as_of}' + interval 1 day as decided_at"
    with writer("test", settings) as con:
        con.execute(
            f"insert into core.int_application_versions select * replace ({waits}, {decided_at}) "
            f"from core.int_application_versions where borrower_id = '{borrower}' limit 1"
        )
        snapshot = current_snapshot(con)
        con.execute("delete from core.int_application_versions where application_id = 'waits'")
    ((like,),) = _rows(settings, "select min(decision_id) from serving.predictions")
    model = trace_decision(settings, like)
    inputs = {each.name: each.value for each in model.inputs}
    inputs |= {"borrower_id": borrower, "n_statements_6m": n_statements, "n_prior_applications": n_prior}
    decision = Decision(
        decision_id="online-1",
        decided_at=as_of + timedelta(hours=3),
        source=SOURCE,
        application_id="never-seen",
        borrower_id=borrower,
        inputs=json.dumps({name: value for name, value in inputs.items() if name != "n_prior_outcomes"}),
        features=json.dumps({feature.name: feature.value for feature in model.features}),
        raw_score=0.0,
        probability=0.5,
        probability_low=0.4,
        probability_high=0.6,
        band="high",
        decision="decline",
        reasons="[]",
        model_name=MODEL_NAME,
        model_version=1,
        feature_version="v1",
        route="online",
        status="scored",
        features_as_of=as_of,
        lake_snapshot=snapshot,
    )
    log = create(settings)
    append(log, [decision])
    log.close()

    found = trace_decision(settings, "online-1")

    assert [(check.name, check.agrees) for check in found.checks] == [
        ("n_statements_6m", True),
        ("n_prior_applications", True),
    ]
    assert next(each for each in found.inputs if each.name == "annual_income").came_from == "given by the caller"
    assert any("is not in the lake" in note for note in found.notes)
    files = {row["file"] for rows in found.raw if rows.table == "raw.simulated_statements" for row in rows.rows}
    # the versions that the online store knew, and not the lines that they restate
    assert "restated-statements.parquet" in files
    assert files <= {"restated-statements.parquet", "late-statements-of-others.parquet"}


def test_features_read_online_are_what_duckdb_computes_from_the_lake(settings: Settings) -> None:
    """Of every borrower, to the bit: the version's own SQL over the rows that the online store was filled from."""
    snapshot, at = refresh(settings).snapshot, datetime(2026, 5, 17, 9, 30)
    contract = load_bundle(settings.bundles / MODEL_NAME / "1").contract
    null = "cast(null as {}) as {}"
    columns = [
        f"timestamp '{at}' as decided_at"
        if column.name == "decided_at"
        else null.format(column.data_type, column.name)
        if column.origin in ("request", "cohort")
        else column.name
        for column in contract.inputs
        if column.name != "application_id"
    ]
    inputs = f"select {', '.join(columns)}, null as application_id from features.ftr_online_borrowers"
    sql = contract.sql.replace('"lake"."features"."ftr_application_inputs"', f"({inputs})")
    ids = [
        borrower for (borrower,) in _rows(settings, "select borrower_id from features.ftr_online_borrowers order by 1")
    ]

    found = features(ids, decided_at=at, settings=settings)

    assert {(row.lake_snapshot, row.feature_version) for row in found} == {(snapshot, contract.version)}
    names = list(found[0].features or ())
    assert len(names) > 20
    assert "months_since_prior_application" in names  # it also needs the time
    expected = _rows(settings, f"select borrower_id, {', '.join(names)} from ({sql}) order by 1")
    assert [(row.borrower_id, *(row.features or {}).values()) for row in found] == expected


def test_json_says_what_the_text_says(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ((decision_id,),) = _rows(settings, "select min(decision_id) from serving.predictions")

    text = CliRunner().invoke(lineage, [decision_id, "--full"])
    data = json.loads(CliRunner().invoke(lineage, [decision_id, "--format", "json"]).output)

    assert data["decision"]["decision_id"] == decision_id
    for word in (
        decision_id,
        f"trained on snapshot {data['model']['training_snapshot']}",
        "raw.simulated_applications",
    ):
        assert word in " ".join(text.output.split())
    assert {feature["name"] for feature in data["features"]} <= set(text.output.split())


def test_an_export_holds_every_row_of_the_person_and_nobody_elses(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "officer")
    ((borrower, application),) = _rows(
        settings,
        "select borrower_id, min(application_id) from serving.predictions where route = 'backfill' "
        "group by borrower_id order by borrower_id limit 1",
    )
    refresh(settings)
    ((n_prior,),) = _rows(
        settings,
        f"select n_prior_applications from features.ftr_online_borrowers where borrower_id = '{borrower}'",
    )

    there_before = tmp_path / "export.json"
    there_before.touch(0o644)
    result = CliRunner().invoke(export, [borrower, "--to", str(there_before)])

    assert result.exit_code == 0, result.output
    assert there_before.stat().st_mode & 0o777 == 0o600
    found = json.loads(there_before.read_text())
    assert found["online_store"]["simulated"]["values"]["n_prior_applications"] == n_prior
    assert application in found["application_ids"]
    for table in ("raw.simulated_statements", "core.int_statements", "serving.predictions"):
        ((n,),) = _rows(settings, f"select count(*) from {table} where borrower_id = '{borrower}'")
        assert len(found["lake"].get(table, [])) == n
    everyone = {row.get("borrower_id", borrower) for rows in found["lake"].values() for row in rows}
    assert everyone == {borrower}
    assert {row["_file"] for row in found["lake"]["raw.simulated_applications"]} >= {"restated-applications.parquet"}
    ((kind, by, counts),) = _rows(settings, "select kind, requested_by, counts from serving.person_requests")
    assert (kind, by) == ("export", "officer")
    assert json.loads(counts)["serving.predictions"] == len(found["lake"]["serving.predictions"])
    assert borrower not in counts


def test_an_export_says_which_models_learnt_from_the_person(settings: Settings) -> None:
    ((borrower, split),) = _rows(
        settings,
        f"select borrower_id, any_value(split) from read_parquet('{settings.home / TRAINED_ON}') "
        "group by borrower_id having count(*) = 1 order by borrower_id limit 1",
    )

    found = export_person(settings, borrower, by="tests")

    assert [(each["model_version"], sum(each["splits"].values())) for each in found["trained"]] == [(1, 1)], split


def test_a_borrower_that_nothing_names_is_an_error(settings: Settings) -> None:
    with pytest.raises(NotFoundError, match="no borrower 'nobody'"):
        export_person(settings, "nobody", by="tests")


def test_lineage_and_training_rows_after_the_snapshots_have_expired(settings: Settings) -> None:
    """Last, since it takes the decisions' snapshot away: the lineage says so, and the model's rows stay."""
    ((decision_id, named),) = _rows(
        settings, "select min(decision_id), min(lake_snapshot) from serving.predictions where route = 'backfill'"
    )
    trained_on = int(json.loads((settings.bundles / MODEL_NAME / "1" / "lineage.json").read_text())["lake_snapshot"])

    maintain(settings, named_snapshots=lambda: [trained_on], retention=timedelta(0), grace=timedelta(0))

    assert export_training_set(settings, 1, source=SOURCE).snapshot == trained_on
    found = trace_decision(settings, decision_id)
    if named != trained_on:
        assert found.snapshot is None
        assert any("has expired" in note for note in found.notes)


# What follows erases people: each test takes another one.


def _learnt_from(settings: Settings, *, place: int) -> tuple[str, list[str]]:
    """A borrower whom version 1 was fitted on, and who was decided on: with all their applications.

    Not one of whom the fixture took raw rows away, which a landing file still has and no table tells of.
    """
    ((borrower, applications),) = _rows(
        settings,
        "select borrower_id, list(application_id order by application_id) from core.int_applications "
        "where borrower_id in (select borrower_id from training.trn_default where split = 'train') "
        "and borrower_id in (select borrower_id from serving.predictions) and borrower_id like 'sim%' "
        "group by borrower_id having count(*) filter (where application_id like '%7') = 0 "
        f"order by borrower_id limit 1 offset {place}",
    )
    return borrower, applications


def _leave_traces(settings: Settings, directory: Path, borrower: str, applications: list[str]) -> Path:
    """The person wherever a home may name one, beside what the fixture did: a landed file, logs, messages, stores."""
    file = directory / "outcomes.csv.gz"
    header = "application_id,is_default,outcome_at,known_at,loss_amount\n"
    lines = [f"{each},false,2024-01-01,2024-01-02,\n" for each in (*applications, "another")]
    file.write_bytes(gzip.compress((header + "".join(lines) + f"{applications[0]},short\n").encode()))
    ingest_files(SOURCE, [file], settings, "outcomes")
    refused = directory / "refused.csv"
    with connect(settings) as con:
        con.execute(
            "copy (select * exclude (_file, _line, _loaded_at) "
            "replace ('of-' || borrower_id as application_id, 'many' as requested_amount) "
            f"from raw.simulated_applications where borrower_id = '{borrower}' limit 1) to '{refused}' (header)"
        )
    ingest_files(SOURCE, [refused], settings, "applications")
    log = create(settings)
    ((like,),) = _rows(settings, "select min(decision_id) from serving.predictions")
    values = msgspec.structs.asdict(find_decision(settings, like))
    online = {"decision_id": f"d-{borrower}", "borrower_id": borrower, "application_id": f"by-{borrower}"}
    about_a_model = {
        name: values[name] for name in ("source", "model_name", "model_version", "feature_version", "role")
    }
    failure = ScoringFailure(failure_id="f", failed_at=values["decided_at"], reason="not_scorable", **about_a_model)
    append(log, [Decision(**{**values, **online})], failures=[failure])
    log.close()
    with writer("test", settings) as con:
        con.execute(
            "insert into monitoring.contract_violations by name select $1 as table_name, $2 as examples",
            ["t", json.dumps([applications[0], "another"])],
        )
        con.execute(
            "insert into monitoring.walk_forward_decisions by name select 'main' as run, $1 as application_id",
            [applications[0]],
        )
    with connect(settings) as con:
        attach(con, of_dev_lake(settings, "ada"), read_only=False, name=DEV)
        con.execute("create schema dev.core")
        con.execute("create table dev.core.int_statements as from lake.core.int_statements")
    _send_batch(settings, "b-1", borrower, values["inputs"])
    # no process has that number: the greatest that Linux gives is 2^22
    (BatchFiles(settings, "b-1").directory / ".decisions.parquet.4194305-1").write_text(borrower)
    _send_batch(settings, "b-2", f"once-{borrower}", values["inputs"], of=borrower)
    states = BatchStates(settings)
    # forgotten after the retention, while its scores stay in the lake
    with sqlite3.connect(settings.batch_states) as batches:
        batches.execute("update batches set ended_at = '2020-01-01T00:00:00' where batch_id = 'b-2'")
    assert states.remove_ended_before(datetime(2021, 1, 1)) == 1
    settings.logs.mkdir(exist_ok=True)
    (settings.logs / "run.log").write_text(f"looked at {borrower}, then at another\n")
    settings.dagster_home.mkdir(exist_ok=True)
    with sqlite3.connect(settings.dagster_home / "runs.db") as events:
        events.execute("create table if not exists event_logs (id integer primary key, event text)")
        events.execute("insert into event_logs (event) values ($1)", [json.dumps({"such as": applications[0]})])
    refresh(settings)
    return file


def _send_batch(settings: Settings, batch_id: str, name: str, inputs: str, *, of: str | None = None) -> None:
    """A row that is scored, one that is refused with the id shown in its problem, one that names the id only there.

    ``name`` ends the applications' ids; ``of``: the borrower, where that is another.
    """
    borrower = of or name
    request = json.loads(inputs) | {"application_id": f"sent-{name}", "borrower_id": borrower, "decided_at": None}
    rows = [
        SentRow(row_number=1, application_id=f"sent-{name}", borrower_id=borrower, request=json.dumps(request)),
        SentRow(row_number=2, application_id=f"bad-{name}", borrower_id=borrower, problem=f'{{"found":"{borrower}"}}'),
        SentRow(row_number=3, application_id="of-somebody", problem=f'{{"found":"{borrower}"}}'),
    ]
    deployment = read_deployment(settings, SOURCE)
    assert deployment is not None
    fields = request_fields(load_bundle(deployment.bundle_directory(settings)).contract)
    BatchFiles(settings, batch_id).write_rows(rows)
    BatchStates(settings).add(
        batch_id, BatchRequest(source=SOURCE, n_rows=3, request_fields=fields), caller_id="caller", body_sha256="0" * 64
    )
    done = run_batch(settings, batch_id, run_id="run")
    assert done is not None
    assert (done.state, done.n_scored, done.n_refused) == ("succeeded", 1, 2), done.reason


def test_a_pseudonymised_person_keeps_rows_that_join_and_survive_a_build(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOANLAKE_ERASURE", "pseudonymise")
    borrower, applications = _learnt_from(settings, place=0)
    joined = (
        "select count(*) from serving.predictions join core.int_applications using (borrower_id, application_id) "
        "join features.ftr_application using (borrower_id, application_id)"
    )
    before = _rows(settings, joined)

    done = erase_person(Settings.from_environment(), borrower, reason="asked", by="tests", at_once=True)

    assert files_that_name(settings, [borrower, *applications]) == []
    assert done.models == (f"{MODEL_NAME} version 1",)
    assert _rows(settings, joined) == before
    _build(settings)
    assert _rows(settings, joined) == before
    found = export_training_set(settings, 1, source=SOURCE)
    assert (found.is_erased, found.n_rows) == (True, found.n_trained)


def test_no_byte_of_an_erased_person_is_left_in_the_home(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed twice on the way, and asked for again, as an operator would."""
    borrower, applications = _learnt_from(settings, place=0)
    made_up = [f"{word}-{borrower}" for word in ("by", "d", "of", "sent", "bad", "sent-once", "bad-once")]
    ids = [borrower, *applications, *made_up]
    file = _leave_traces(settings, tmp_path, borrower, applications)
    named = files_that_name(settings, ids)
    assert features([borrower], settings=settings)[0].features is not None
    assert (
        len({path.split("/")[0] for path in named} & {"lake", "landing", "serving", "online", "logs", "dagster", "dev"})
        == 7
    )
    assert {"bundles", "candidates"} <= {path.split("/")[0] for path in named}
    others = _rows(settings, f"select count(*) from core.int_statements where borrower_id <> '{borrower}'")

    for step in ("warehouse.sources.erasing.RewrittenFile.put", "orchestration.people.erasure.erase_from_bundles"):
        with monkeypatch.context() as killed:
            killed.setattr(step, _kill)
            with pytest.raises(KeyboardInterrupt):
                erase_person(settings, borrower, reason="asked", by="tests")
    result = CliRunner().invoke(erase, [borrower, "--reason", "asked", "--yes", "--now"])

    assert result.exit_code == 0, result.output
    assert f"{MODEL_NAME} version 1 learnt from them" in result.output
    assert "the dev lake of ada is dropped" in result.output
    assert files_that_name(settings, ids) == []
    [erased] = features([borrower], settings=settings)
    assert (erased.history, erased.features, erased.inputs) == ("unknown", None, None)
    assert _rows(settings, "select count(*) from core.int_statements") == others
    ((n, counts),) = _rows(
        settings, "select count(*), max(counts) from serving.person_requests where treatment = 'delete'"
    )
    assert (n, json.loads(counts)["decision log"]) == (1, 3)
    of_others = "select batch_id, problem from serving.batch_scores where application_id = 'of-somebody' order by 1"
    assert _rows(settings, of_others) == [(batch, '{"found":"erased"}') for batch in ("b-1", "b-2")]
    (again,) = ingest_files(SOURCE, [file], settings, "outcomes")
    assert (again.status, files_that_name(settings, ids)) == ("already_loaded", [])
    assert _rows(settings, "select examples from monitoring.contract_violations") == [('["erased", "another"]',)]
    assert (settings.logs / "run.log").read_text() == f"looked at {'*' * len(borrower)}, then at another\n"


def test_what_is_left_of_the_home_works_on(settings: Settings) -> None:
    """A published bundle whose rows were erased still loads, and its model still has rows to be compared with."""
    found = export_training_set(settings, 1, source=SOURCE)

    assert found.is_erased
    assert found.n_rows < found.n_trained
    bundle = load_bundle(settings.bundles / MODEL_NAME / "1")
    assert load_bundle(settings.candidates / "one").digest == bundle.digest
    (decision_id,) = _rows(settings, "select min(decision_id) from serving.predictions")[0]
    assert trace_decision(settings, decision_id).features


def test_a_person_who_was_erased_is_not_unknown(settings: Settings) -> None:
    borrower, _ = _learnt_from(settings, place=0)
    erase_person(settings, borrower, reason="asked", by="tests")

    again = CliRunner().invoke(erase, [borrower, "--reason", "asked", "--yes"])

    assert again.exit_code == 0, again.output
    assert f"nothing is held of {borrower}: erased on" in again.output
    assert "earlier snapshots of the lake stay readable for 30 days" in again.output
    with pytest.raises(NotFoundError, match="no borrower 'nobody'"):
        erase_person(settings, "nobody", reason="asked", by="tests")


def test_erasing_asks_first(settings: Settings) -> None:
    borrower, _ = _learnt_from(settings, place=0)

    refused = CliRunner().invoke(erase, [borrower, "--reason", "asked"], input="n\n")

    assert refused.exit_code == 1
    assert _learnt_from(settings, place=0)[0] == borrower
    assert CliRunner().invoke(erase, [borrower]).exit_code == 2


def _kill(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
