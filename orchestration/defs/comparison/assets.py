"""The families of models on the current training set; on request only."""

import time

import dagster as dg
from pydantic import Field

from orchestration.lib import links, pages
from orchestration.lib.layers import COMPARISON, TRAINING, TRAINING_SET
from orchestration.lib.lenders import LENDERS
from orchestration.lib.run_settings import RunSettings
from warehouse.settings import Settings


class ComparisonConfig(dg.Config):
    """Options besides the run settings; ``loanlake model compare`` has the same."""

    families: list[str] = Field(default=[], description="Families to compare. Empty: all that are installed.")
    imbalance: list[str] = Field(
        default=[],
        description="class_weights, smote or none: settings with which the first family is compared too.",
    )
    folds: int = Field(default=5, ge=0, description="Folds of all labelled rows, at least 2; 0: the test loans alone.")


@dg.asset(
    key=COMPARISON,
    deps=[TRAINING_SET],
    partitions_def=LENDERS,
    group_name="model",
    kinds={"python", "duckdb"},
    pool=TRAINING,
)
def comparison(
    context: dg.AssetExecutionContext, config: ComparisonConfig, run_settings: RunSettings
) -> dg.MaterializeResult[None]:
    """Families trained on the same rows and measured on the same test loans, beside the champion.

    Registers and serves nothing. Every materialisation adds a comparison to the table.
    """
    from orchestration.defs.comparison.figure_texts import TERMINAL
    from orchestration.defs.comparison.running import run_comparison

    settings, started = Settings.from_environment(), time.monotonic()
    found = run_comparison(
        settings,
        context.partition_key,
        tuple(config.families),
        imbalance=tuple(config.imbalance),
        n_folds=config.folds,
        exclude=tuple(run_settings.exclude),
        report=context.log.info,
    )
    occasion = found.comparison.occasion
    return dg.MaterializeResult(
        metadata={
            "picture": pages.image(found.plots["ranking"], "ranking"),
            "summary": f"{occasion.n_test:,} test loans ({occasion.split_kind}): {found.comparison.finding}",
            "figures and plots": dg.MetadataValue.url(links.report(found.page, settings)),
            "models": pages.records(found.comparison.models, TERMINAL),
            **{
                name.replace("_", " "): pages.image(png, name) for name, png in found.plots.items() if name != "ranking"
            },
            "left out": dict(found.comparison.left_out),
            "comparison_id": occasion.comparison_id,
            "seconds": round(time.monotonic() - started, 2),
        }
    )
