"""A range stands in the contract; where the SQL that computes a feature repeats it, the two agree."""

import re

import yaml

from warehouse.settings import DBT_PROJECT_DIR

_WITHIN = re.compile(
    r"within\((?P<what>[^{}]*?), (?P<low>-?\d+), (?P<high>-?\d+)\) }}(?: as \w+\))?\s+as (?P<name>\w+)", re.S
)


def test_sql_bounds_a_feature_by_the_range_of_its_contract() -> None:
    """Prevents a range that is widened in the YAML while values beyond the old one still become null."""
    declared = yaml.safe_load((DBT_PROJECT_DIR / "models/features/ftr_application.yml").read_text())
    (model,) = (each for each in declared["models"] if each["name"] == "ftr_application")
    columns = [*model["columns"], *(each for version in model["versions"] for each in version.get("columns", ()))]
    ranges = {each["name"]: each["config"]["meta"].get("range") for each in columns if "config" in each}

    bounded = {
        found["name"]: [int(found["low"]), int(found["high"])]
        for path in sorted((DBT_PROJECT_DIR / "macros/features").glob("*.sql"))
        for found in _WITHIN.finditer(path.read_text())
    }

    assert len(bounded) > 25
    assert {name: ranges[name] for name in bounded} == bounded
