"""What a run is asked to do: one resource, configured at launch, read by every asset that needs it."""

import dagster as dg
from pydantic import Field

from warehouse.settings import Settings
from warehouse.sources.simulated.simulation import Simulation


class RunSettings(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The source a run is about, and how to ingest, train and report. Every field has a default."""

    source: str = Field(
        default="",
        description="Whose applications to train on, score and monitor. Empty: LOANLAKE_SOURCE, else the source of the "
        "deployed model, else simulated.",
    )
    files: list[str] = Field(default=[], description="Files of that source to load before what waits in the inbox.")
    entity: str = Field(
        default="", description="Which raw table the files fill, where the source has several or is your own."
    )
    simulate: bool = Field(
        default=False,
        description="Write and load the simulated lender below even if the lake holds one; without it, only the first.",
    )
    simulated_applications: int = Field(
        default=Simulation.applications, gt=0, description="Size of the simulated lender."
    )
    simulated_months: int = Field(default=Simulation.months, gt=0, description="Months of simulated decisions.")
    simulated_seed: int = Field(default=Simulation.seed, description="Equal seeds give equal lenders.")
    exclude: list[str] = Field(default=[], description="Features that the model must not use.")
    feature_version: str = Field(
        default="", description="Version of the features to train on, such as v1. Empty: the latest."
    )
    force_training: bool = Field(
        default=False, description="Train even if a model was already made from the same rows, features and settings."
    )
    takes_over: bool = Field(
        default=True,
        description="Whether what this run makes of its source may be served in the place of another lender's model: "
        "yes where a person asks for it, no from sensors and schedules.",
    )
    report_months: list[str] = Field(
        default=[], description="Months (YYYY-MM) to write Evidently reports for. Empty: the newest month scored."
    )

    def active_source(self, settings: Settings) -> str:
        """The source of this run."""
        return self.source or settings.active_source()
