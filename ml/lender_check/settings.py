"""What a lender's file sets that no gate, feature or request can take: said by the check, the lint and each run.

The file's reader knows neither gates nor features. Run as ``python -m ml.lender_check.settings MANIFEST`` for all.
"""

import difflib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from ml.families.catalogue import require_family
from ml.families.single import require_installed
from ml.judging.gate_limits import limits_of
from ml.training.fitting import training_settings_of
from ml.training.imbalance import smote_refusal
from warehouse.errors import SettingError
from warehouse.features.contract import unknown_names
from warehouse.lenders.lender import Lender
from warehouse.lenders.rules import lenders_of_project, read_lender


def setting_problems(lender: Lender, manifest: Path) -> tuple[str, ...]:
    """Limits that gates cannot take; a model that no family is; names that no feature or request has; kinds of files
    that no model reads.

    ``manifest``: dbt's, parsed or compiled; before the first build there is none, and no name is checked.
    """
    messages = (*_problem(lambda: limits_of(lender)), *_problem(lambda: training_settings_of(lender)))
    if not manifest.exists():
        return messages
    return messages + unknown_names(lender, manifest) + tuple(_unknown_entities(lender, manifest))


def _unknown_entities(lender: Lender, manifest: Path) -> Iterator[str]:
    prefix = f"{lender.path.stem}_"
    tables = [each["name"] for each in json.loads(manifest.read_text())["sources"].values() if each["schema"] == "raw"]
    known = sorted(table.removeprefix(prefix) for table in tables if table.startswith(prefix))
    accepted = [file.partition("/")[0] for file in lender.set_aside.accepted_files]
    for key, named in (("files", lender.files), ("set_aside.accepted_files", accepted)):
        for entity in sorted(set(named) - set(known)):
            near = difflib.get_close_matches(entity, known, n=1)
            meant = f", did you mean {near[0]}?" if near else ";"
            yield (
                f"{lender.path}: {key} must name kinds of files that the lender's models read: found {entity}{meant} "
                f"known are {', '.join(known) or 'none'}"
            )


def require_settings(lender: Lender, manifest: Path, *, family: str = "") -> None:
    """Raise SettingError with all problems, or if the model cannot be trained here; ``family``: of a run, in place of
    the file's.
    """
    problems = setting_problems(lender, manifest)
    if family:
        problems += _problem(lambda: require_family(family, "--family"))
    problems = problems or _problem(lambda: _require_trainable(lender, family))
    if problems:
        raise SettingError("\n".join(problems))


def _require_trainable(lender: Lender, family: str) -> None:
    """A package that is missing here, and what no settings of this lender allow, else found after the build."""
    training = training_settings_of(lender, family=family)
    require_installed(training.model)
    if training.imbalance == "smote" and (why := smote_refusal(0)):
        raise SettingError(f"imbalance smote {why}")


def _problem(read: Callable[[], object]) -> tuple[str, ...]:
    try:
        read()
    except SettingError as error:
        return (str(error),)
    return ()


def main() -> None:
    """Check the file of each lender of the project; exit code 1 if there are problems."""
    manifest = Path(sys.argv[1])
    problems = [
        problem for name in sorted(lenders_of_project()) for problem in setting_problems(read_lender(name), manifest)
    ]
    for problem in problems:
        click.echo(problem, err=True)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
