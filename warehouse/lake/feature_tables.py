"""Names of the tables that a version of the features has, and how a version is written.

``v2`` has tables with the rows of every lender. ``v2_mybank`` is version 2 extended by the lender mybank: its tables
hold mybank's rows only, with the inputs and features of version 2 and then mybank's own.
"""

import re
from dataclasses import dataclass
from typing import Self

from warehouse.errors import ContractError

INPUTS_MODEL = "ftr_application_inputs"
FEATURES_MODEL = "ftr_application"
TRAINING_MODEL = "trn_default"
#: Training rows with exposures and open loans: no table, until an erasure keeps a snapshot's.
EXPOSED_MODEL = "trn_exposed"
HISTORY_MODEL = "ftr_application_history"
ONLINE_MODEL = "ftr_online_borrowers"
DECISIONS_MODEL = "decision_history"
_LENDER = r"[a-z][a-z0-9_]*"
_VERSION = re.compile(rf"v?(?P<number>[1-9]\d*)(?:_(?P<lender>{_LENDER}))?")
_EXTENDED = re.compile(rf"{FEATURES_MODEL}_(v\d+_\w+)")
#: What an erasure adds to a training table's name.
_KEPT = re.compile(r"_at_\d+$")


@dataclass(frozen=True, order=True)
class FeatureVersion:
    """A version of the features; ``lender``: who extends it, or empty.

    >>> FeatureVersion.parse("v2_mybank").training_table
    'training.trn_default_v2_mybank'
    >>> FeatureVersion.parse(2).inputs_table
    'features.ftr_application_inputs'
    """

    number: int
    lender: str = ""

    @classmethod
    def parse(cls, text: int | str) -> Self:
        """Read 2, ``v2``, ``2_mybank`` or ``v2_mybank``; raises ContractError for anything else."""
        found = _VERSION.fullmatch(str(text))
        if found is None or _KEPT.search(str(text)):
            raise ContractError(
                "a version of the features must be a number, as v2, or a number and the lender that extends it, as "
                f"v2_mybank (its name must not end in _at_ and digits): found {text!r}"
            )
        return cls(int(found["number"]), found["lender"] or "")

    @classmethod
    def of_model(cls, name: str) -> Self | None:
        """The extended version whose features a dbt model has, by the model's name; None for other models."""
        found = _EXTENDED.fullmatch(name)
        return cls.parse(found[1]) if found else None

    def __str__(self) -> str:
        return f"v{self.number}" + (f"_{self.lender}" if self.lender else "")

    @property
    def core(self) -> Self:
        """The version that it extends; itself if it extends none."""
        return type(self)(self.number)

    def of_lender(self, model: str) -> str:
        """The lender's model beside a shared one, or the shared one's name."""
        return f"{model}_{self.lender}" if self.lender else model

    @property
    def features_model(self) -> str:
        """The name of the model, and of the table, of its features."""
        return f"{FEATURES_MODEL}_{self}"

    @property
    def inputs_table(self) -> str:
        """The table of the inputs that its features read."""
        return f"features.{self.of_lender(INPUTS_MODEL)}"

    @property
    def features_table(self) -> str:
        """The table of its features."""
        return f"features.{self.features_model}"

    @property
    def training_table(self) -> str:
        """The table of its training rows."""
        return f"training.{TRAINING_MODEL}_{self}"

    @property
    def exposed_rows(self) -> str:
        """The name of its training rows with exposures and open loans (:mod:`warehouse.lake.training_rows`)."""
        return f"training.{EXPOSED_MODEL}_{self}"


def training_version(table: str) -> FeatureVersion | None:
    """The version whose training rows a table of the schema ``training`` has; None for other tables.

    >>> str(training_version("trn_default_v2_mybank")), training_version("trn_default_v2_at_57")
    ('v2_mybank', None)
    """
    prefix, _, version = table.partition(f"{TRAINING_MODEL}_")
    try:
        return FeatureVersion.parse(version) if not prefix and version.startswith("v") else None
    except ContractError:
        return None
