"""The lines that `loanlake run` prints, from the events of real (small) runs."""

import io
from collections.abc import Sequence

import dagster as dg

from orchestration.lib.progress import Progress
from warehouse.errors import NotFoundError


@dg.asset(name="dbt_like")
def counted() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"dagster/row_count": 1_234})


@dg.asset
def training_set() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"summary": "12 rows: train 8, tune 2, test 2"})


@dg.asset
def ingest_nothing() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"rows_loaded": 0, "lines_rejected": 0, "rows_loaded_before": 0})


@dg.asset
def broken() -> None:
    raise NotFoundError("no model of source 'sim' was deployed yet")


@dg.asset_check(asset=training_set, blocking=True, description="Rows are enough.")
def enough_rows() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, description="Required 100 rows; found 12.")


def progress_of(
    assets: Sequence[dg.AssetsDefinition], checks: Sequence[dg.AssetChecksDefinition] = (), **options: frozenset[str]
) -> tuple[Progress, str]:
    out = io.StringIO()
    progress = Progress(out, **options)
    with dg.DagsterInstance.ephemeral() as instance:
        defs = dg.Definitions(assets=list(assets), asset_checks=list(checks))
        result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, raise_on_error=False
        )
        for record in instance.get_records_for_run(result.run_id).records:
            progress(record.event_log_entry)
    return progress, out.getvalue()


def test_a_step_shows_its_title_its_summary_and_seconds() -> None:
    _, text = progress_of([training_set])

    assert text.startswith("  ok  training set              12 rows: train 8, tune 2, test 2")
    assert text.endswith(" s\n")


def test_tables_are_counted_where_a_step_gives_no_summary() -> None:
    _, text = progress_of([counted])

    assert "1 table, 1,234 rows" in text


def test_a_failing_check_is_the_reason_of_a_stop() -> None:
    progress, text = progress_of([training_set], [enough_rows])

    assert "STOP  training set" in text
    assert progress.reason == "training_set: enough_rows: Required 100 rows; found 12."


def test_a_failing_step_gives_the_users_words_without_the_class_of_the_error() -> None:
    progress, _ = progress_of([broken])

    assert progress.reason == "broken: no model of source 'sim' was deployed yet"


def test_a_quiet_step_is_silent_while_it_does_nothing() -> None:
    _, text = progress_of([ingest_nothing], quiet_steps=frozenset({"ingest_nothing"}))

    assert text == ""
