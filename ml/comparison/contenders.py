"""The models of a comparison: each family trained on the same rows, and the champion; all as they would be served."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.bundle.bundle import Bundle, write_bundle
from ml.bundle.scorer import Scorer, Scores
from ml.families.catalogue import FAMILIES, family_of
from ml.families.single import missing_package, require_installed
from ml.judging.evaluation import CHAMPION, evaluate
from ml.registry.deployment import read_deployment
from ml.registry.registered_version import load_registered
from ml.training.fitting import TrainingSettings, train
from ml.training.lineage import collect_lineage
from ml.training.reference import build_reference
from ml.training.training_set import TrainingSet, rows_seen_by, statement_now
from warehouse.features.contract import FeatureContract
from warehouse.files.drafts import draft_directory
from warehouse.lake.connection import connect
from warehouse.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Contender:
    """A model on the test rows; ``model``: its name in the comparison's plan, or ``champion``.

    ``test_rows``: in the order of the training set, with the features of the model's own version. ``version`` is the
    champion's. ``n_seen``: test loans that were train or tune rows of this model.
    """

    model: str
    scorer: Scorer
    test_rows: "pd.DataFrame"
    version: int | None = None
    n_seen: int = 0

    @property
    def bundle(self) -> Bundle:
        """Its bundle, which of a family is deleted after the comparison."""
        return self.scorer.bundle

    def test_scores(self) -> Scores:
        """Of the test rows, in their order."""
        return self.scorer.score_matrix(self.bundle.design_matrix.encode(self.test_rows))

    def train_probabilities(self) -> Floats:
        """Of the rows that the model learned from."""
        import pandas as pd

        return pd.read_parquet(self.bundle.reference_scores)["probability"].to_numpy(dtype=np.float64)


def choose_families(named: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The families to compare, and why others are left out; ``named``: empty for all that are installed.

    Raises SettingError if a named family is unknown or not installed.
    """
    chosen, left_out = [], {}
    for family in [family_of(name) for name in dict.fromkeys(named)] or FAMILIES:
        if named:
            require_installed(family)
        package = missing_package(family)
        if package is None:
            chosen.append(family.name)
        else:
            left_out[family.name] = f"needs the package {package}, which is not installed"
    return tuple(chosen), left_out


@contextmanager
def trained(
    settings: Settings,
    rows: TrainingSet,
    contract: FeatureContract,
    training: Mapping[str, TrainingSettings],
    *,
    by: str,
) -> Iterator[Iterator[Contender]]:
    """Train each model of a plan, one after the other; their bundles are deleted at the end of the block."""
    with draft_directory(settings.candidates / rows.source / "comparison") as directory:
        yield (
            _trained(directory, model, rows, contract, settings_of, by=by) for model, settings_of in training.items()
        )


def champion_contender(settings: Settings, rows: TrainingSet) -> Contender | None:
    """The model in service, on the same test rows by its own features; None without one."""
    served = read_deployment(settings, rows.source)
    if served is None:
        return None
    bundle = load_registered(settings, rows.source, served.model_version)
    with connect(settings) as con:
        test_rows = rows_seen_by(con, rows, "test", feature_version=bundle.feature_version)
        n_seen = 0
        if bundle.lineage.training_set_sha256 != rows.sha256:
            con.register("compared", test_rows[["application_id"]])
            lineage = bundle.lineage
            learned = statement_now(
                con,
                rows.source,
                lineage.feature_version,
                lineage.lake_snapshot,
                exposures=lineage.has_exposures,
            )
            ((n_seen,),) = con.execute(
                f"select count(*) from ({learned}) join compared using (application_id) where split <> 'test'"
            ).fetchall()
    return Contender(CHAMPION, Scorer(bundle), test_rows, version=served.model_version, n_seen=n_seen)


def _trained(
    drafts: Path, model: str, rows: TrainingSet, contract: FeatureContract, training: TrainingSettings, *, by: str
) -> Contender:
    candidate = train(rows, contract, training)
    bundle = write_bundle(
        drafts / model,
        candidate,
        contract,
        evaluate(candidate, rows),
        collect_lineage(candidate, rows, contract, by=by),
        build_reference(candidate, rows),
    )
    return Contender(model, Scorer(bundle), rows.rows("test"))
