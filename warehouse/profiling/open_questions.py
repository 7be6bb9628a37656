"""Questions about meanings that a file must have, where no column has one by its name."""

from collections.abc import Iterator, Mapping, Sequence

from warehouse.profiling.answers import NONE, Answers, Question
from warehouse.profiling.meanings import DATED
from warehouse.profiling.profile import FileProfile
from warehouse.profiling.spelling import Spelling


def missing_decision(
    profile: FileProfile, spellings: Sequence[Spelling], found: Mapping[str, str], answers: Answers
) -> Iterator[Question]:
    """What a file of applications must have: the amount and, unless it has no dates, the decision and planned life."""
    entity, dates, numbers = profile.entity, *_free(profile, spellings, found)
    is_dated = "decided_at" in found or (bool(dates) and answers.column.get("decided_at") != NONE)
    if is_dated and "decided_at" not in found:
        yield Question("--column decided_at=", f"Which column of {entity} is the day of the decision?", (*dates, NONE))
    if "requested_amount" not in found and "requested_amount" not in answers.column:
        yield Question("--column requested_amount=", f"Which column of {entity} is the amount?", (*numbers, NONE))
    has_life = "term_months" in found or (answers.term_months or answers.window_months) is not None
    if has_life or not is_dated:
        return
    if "term_months" not in answers.column and numbers:
        text = f"Which column of {entity} is the loan's planned life?"
        yield Question("--column term_months=", text, (*numbers, NONE))
    else:
        yield Question(
            "--term-months ",
            f"For how many months are the loans of {entity} planned? Without a planned life no loan has a label, "
            "unless --window-months says within which time after the decision a default counts.",
        )


def missing_key(
    profile: FileProfile, key: Sequence[str], found: Mapping[str, str], answers: Answers
) -> Iterator[Question]:
    """The ids by which the rows of any file but the applications belong to a loan or a borrower."""
    for meaning in key:
        if meaning in found or answers.column.get(meaning) == NONE or not meaning.endswith("_id"):
            continue
        free = tuple(column.name for column in profile.columns if column.name not in found.values())
        whose = meaning.removesuffix("_id")
        text = f"Which column of {profile.entity} is the {whose}? Without one its rows belong to no {whose}."
        yield Question(f"--column {meaning}=", text, (*free, NONE))


def missing_outcome(
    profile: FileProfile, spellings: Sequence[Spelling], found: Mapping[str, str], answers: Answers
) -> Iterator[Question]:
    """What a file with outcomes must have: how a loan ended, and the day if one of its dates may be that."""
    entity, dates, _ = profile.entity, *_free(profile, spellings, found)
    if "outcome" not in found:
        codes = tuple(
            column.name
            for column in profile.columns
            if 1 < column.n_distinct <= 20 and column.name not in found.values()
        )
        yield Question("--column outcome=", f"Which column of {entity} says how the loan ended?", codes)
    is_open = "outcome_at" not in found and "outcome_at" not in answers.column
    # of the dates of loans, which is the decision is asked first
    if is_open and dates and ("decided_at" in found or "requested_amount" not in found):
        text = f"Which column of {entity} is the day on which the loan ended?"
        yield Question("--column outcome_at=", text, (*dates, NONE))


def _free(
    profile: FileProfile, spellings: Sequence[Spelling], found: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns without a meaning: those of dates, those of numbers."""
    free = [
        (column.name, spelling.kind)
        for column, spelling in zip(profile.columns, spellings, strict=True)
        if column.name not in found.values()
    ]
    dates = tuple(name for name, kind in free if kind in DATED)
    return dates, tuple(name for name, kind in free if kind == "number")
