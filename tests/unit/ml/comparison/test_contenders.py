"""Which families are compared, and which test loans a champion has seen."""

from importlib.metadata import PackageNotFoundError

import pytest

from ml.comparison.contenders import champion_contender, choose_families
from ml.families.catalogue import FAMILIES
from ml.families.linear.scorecard import Scorecard
from ml.rollout.promotion import publish
from ml.training.training_set import read_training_set
from tests import model_factory
from tests.model_factory import SOURCE
from warehouse.errors import SettingError
from warehouse.lake.connection import connect, writer
from warehouse.settings import Settings


@pytest.fixture
def _without_optbinning(monkeypatch: pytest.MonkeyPatch) -> None:
    def packages() -> dict[str, str]:
        raise PackageNotFoundError("optbinning")

    monkeypatch.setattr(Scorecard, "packages", staticmethod(packages))


def test_all_installed_families_are_compared() -> None:
    chosen, left_out = choose_families(())

    # PyTorch is an extra that most machines lack
    assert left_out.keys() <= {"tab_transformer"}
    assert chosen == tuple(family.name for family in FAMILIES if family.name not in left_out)


def test_named_families_are_compared_once_in_their_order() -> None:
    assert choose_families(("scorecard", "logistic", "scorecard")) == (("scorecard", "logistic"), {})


@pytest.mark.usefixtures("_without_optbinning")
def test_a_family_whose_package_is_missing_is_left_out_by_name() -> None:
    chosen, left_out = choose_families(())

    assert "scorecard" not in chosen
    assert left_out["scorecard"] == "needs the package optbinning, which is not installed"


@pytest.mark.usefixtures("_without_optbinning")
def test_a_named_family_must_be_installed() -> None:
    with pytest.raises(SettingError, match="scorecard needs the package optbinning"):
        choose_families(("logistic", "scorecard"))


@pytest.mark.parametrize("name", ["auto", "forest"])
def test_a_name_that_is_no_family_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match="must be one of xgboost"):
        choose_families((name,))


def test_test_loans_that_the_champion_learned_from_are_counted(home: Settings) -> None:
    """A split that is moved after a training makes the champion look better than it is."""
    model_factory.fill_lake(home)
    training = model_factory.FAMILIES["logistic"]
    bundle = model_factory.write_model(home.candidates / "one", *model_factory.trained(home, training))
    publish(home, model_factory.register_model(home, bundle), by="tests")
    with writer("test", home) as con:
        ((n_moved,),) = con.execute(
            "select count(*) from training.trn_default_v1 where split = 'tune' and decided_at >= timestamp '2021-05-01'"
        ).fetchall()
        con.execute("update training.trn_default_v1 set split = 'test' where decided_at >= timestamp '2021-05-01'")
    with connect(home) as con:
        rows = read_training_set(con, SOURCE, feature_version="v1")

    champion = champion_contender(home, rows)

    assert champion is not None
    assert (champion.version, champion.n_seen) == (1, n_moved)
    assert n_moved > 50
