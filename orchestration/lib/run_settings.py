"""Settings of a run: one resource, configured at launch, read by every asset that needs it."""

from typing import Self, cast, get_args

import dagster as dg
from pydantic import Field, field_validator, model_validator

from warehouse.lenders.family_names import FAMILIES_IN_WORDS
from warehouse.lenders.lender import PublishMode
from warehouse.sources.simulated.simulation import Simulation


class RunSettings(dg.ConfigurableResource):  # type: ignore[type-arg]
    """How a run ingests, trains, publishes and reports; its lender is its partition. Every field has a default."""

    files: list[str] = Field(default=[], description="Files of the lender to load, before files in the inbox.")
    entity: str = Field(
        default="", description="Raw table that the files fill, if the lender has several or is your own."
    )
    simulate: bool = Field(
        default=False,
        description="Write and load the simulated lender below even if the lake already has one.",
    )
    simulated_applications: int = Field(
        default=Simulation.applications, gt=0, description="Size of the simulated lender."
    )
    simulated_months: int = Field(default=Simulation.months, gt=0, description="Months of simulated decisions.")
    simulated_seed: int = Field(default=Simulation.seed, description="Equal seeds give equal lenders.")
    exclude: list[str] = Field(default=[], description="Features that the model must not use.")
    feature_version: str = Field(
        default="",
        description="Version of the features to train on, such as v1. Empty: the latest, with own columns.",
    )
    family: str = Field(
        default="",
        description=f"Family of models: auto, {FAMILIES_IN_WORDS}. Empty: as the "
        "lender's file says, else auto, which trains the first two and takes the one with the lower log loss on tune "
        "rows.",
    )
    refreshed_version: int = Field(
        default=0,
        ge=0,
        description="Registered version that this run refreshes: its model settings hold where the lender's file has "
        "none of its family. 0: none. Schedules and sensors set it to the champion.",
    )
    force_training: bool = Field(
        default=False, description="Train even if a model with the same rows, features and settings exists."
    )
    publish: str = Field(
        default="",
        description="auto: serve a model that passed its gates, by the rule of ml/judging/publication.py. never: only "
        "register it. always: serve it on your responsibility, with by and reason. Empty: as the lender's file or "
        "LOANLAKE_PUBLISH says.",
    )
    reason: str = Field(default="", description="Why it is published; required for always, kept in the history.")
    by: str = Field(default="", description="Your name, for the history. Empty for schedules and sensors.")
    report_months: list[str] = Field(
        default=[], description="Months (YYYY-MM) for Evidently reports. Empty: the newest scored month."
    )

    @field_validator("family")
    @classmethod
    def _is_a_family(cls, family: str) -> str:
        from ml.families.catalogue import require_family

        if family:
            require_family(family, "family")
        return family

    @field_validator("publish")
    @classmethod
    def _is_a_mode(cls, publish: str) -> str:
        if publish not in ("", *get_args(PublishMode)):
            raise ValueError(f"publish must be one of {', '.join(get_args(PublishMode))}, or empty: found {publish!r}")
        return publish

    @model_validator(mode="after")
    def _always_has_a_person_and_a_reason(self) -> Self:
        if self.publish == "always" and not (self.by.strip() and self.reason.strip()):
            raise ValueError(f"publish: always needs by and reason: found {self.by!r} and {self.reason!r}")
        return self

    @property
    def mode(self) -> PublishMode | None:
        """The run's publication mode; None if it sets none."""
        return cast(PublishMode, self.publish) if self.publish else None
