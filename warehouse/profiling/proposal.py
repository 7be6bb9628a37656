"""From profiles and a person's answers to a lender: files, typed columns, contracts; or the questions that are open."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from warehouse.errors import SettingError
from warehouse.profiling.answers import NONE, Answers, Question
from warehouse.profiling.columns import (
    Field,
    accepted_thousands,
    field_of,
    names,
    questions_about,
    require_keys,
    require_values,
    unmapped,
)
from warehouse.profiling.meanings import (
    CONTRACTS,
    DATED,
    VOCABULARIES,
    Contract,
    Meaning,
    assigned,
    looks_dated,
    meanings,
)
from warehouse.profiling.open_questions import missing_decision, missing_key, missing_outcome
from warehouse.profiling.own_columns import OwnColumn, own_column, own_meaning
from warehouse.profiling.personal import personal
from warehouse.profiling.profile import ColumnProfile, FileProfile
from warehouse.profiling.spelling import Spelling, spelling_of
from warehouse.profiling.vocabulary import OUTCOMES

_LINE = ("_file", "_line")
#: The columns by which a row of a contract is known; without them, its file and line are.
_KEYS: Mapping[Contract, tuple[str, ...]] = {
    "applications": ("application_id",),
    "outcomes": ("application_id",),
    "statements": ("borrower_id", "statement_on"),
    "demographics": ("borrower_id",),
}
#: What a file must have to be one of a contract.
_NEEDED: Mapping[Contract, frozenset[str]] = {
    "applications": frozenset({"requested_amount"}),
    "outcomes": frozenset({"application_id", "outcome"}),
    "statements": frozenset({"borrower_id", "statement_on"}),
    "demographics": frozenset({"borrower_id"}),
}
#: The newest of these dates is taken for how far the lender's knowledge reaches.
_CLOCKS = ("decided_at", "known_at", "outcome_at", "statement_on")


@dataclass(frozen=True)
class FileProposal:
    """A kind of file: the contract that its rows fill, its key and its typed columns.

    ``own``: columns that no contract has, chosen as the lender's own; ``unused``: the others. ``personal``: column →
    what it says of a person.
    """

    entity: str
    contract: Contract
    key: tuple[str, ...]
    fields: tuple[Field, ...]
    unused: tuple[str, ...]
    personal: Mapping[str, str] = field(default_factory=dict)
    own: tuple[OwnColumn, ...] = ()

    def __getitem__(self, meaning: str) -> Field:
        """The typed column of a meaning."""
        return names(self.fields)[meaning]

    def __contains__(self, meaning: str) -> bool:
        """Whether a column has this meaning."""
        return meaning in names(self.fields)


@dataclass(frozen=True)
class LenderProposal:
    """Everything that ``loanlake lender new`` writes down. ``notes``: what a person should know of it."""

    name: str
    files: tuple[FileProposal, ...]
    term_months: int | None
    window_months: int | None = None
    notes: tuple[str, ...] = ()

    def file(self, contract: Contract) -> FileProposal | None:
        """The file of a contract's rows."""
        return next((each for each in self.files if each.contract == contract), None)

    @property
    def applications(self) -> FileProposal:
        """The file of the applications, which every lender has."""
        return next(each for each in self.files if each.contract == "applications")

    @property
    def is_dated(self) -> bool:
        """Whether its decisions have dates; if not, all that a file says is known when the file is loaded."""
        return "decided_at" in self.applications

    @property
    def outcomes(self) -> FileProposal:
        """The file with the outcomes: their own, or that of the applications."""
        return self.file("outcomes") or self.applications


@dataclass(frozen=True)
class _File:
    """A file's profile and how each of its columns is spelled."""

    profile: FileProfile
    spellings: tuple[Spelling, ...]

    @property
    def columns(self) -> tuple[tuple[ColumnProfile, Spelling], ...]:
        return tuple(zip(self.profile.columns, self.spellings, strict=True))


def propose(
    name: str, profiles: Sequence[FileProfile], answers: Answers
) -> tuple[LenderProposal | None, tuple[Question, ...]]:
    """The lender, None as long as a file's contract is open; and the questions that are open.

    Raises SettingError for an answer about a column, file or meaning that does not exist.
    """
    files = {profile.entity: _File(profile, _spellings(profile)) for profile in profiles}
    _require_known(answers, files)
    contracts = _contracts(files, answers)
    questions = [
        Question(f"--file {entity}=", f"Which rows does {entity} hold?", CONTRACTS)
        for entity in files
        if entity not in contracts
    ]
    if not questions and "applications" not in contracts.values():
        raise SettingError(
            f"one file must hold the applications, a row a loan: found {_listed(contracts)}; say which with --file"
        )
    if questions:
        return None, tuple(questions)
    proposals, notes = [], list[str]()
    for entity, contract in contracts.items():
        found = _found(files[entity], contract, contracts, answers)
        questions += _questions(files[entity], contract, contracts, found, answers)
        proposal, its_notes = _proposal(files[entity], contract, found, answers)
        proposals.append(proposal)
        notes += its_notes
    lender = LenderProposal(name, tuple(proposals), answers.term_months, answers.window_months, tuple(notes))
    if not questions:
        _require_a_life(lender)
    return lender, tuple(questions)


def _require_a_life(lender: LenderProposal) -> None:
    """Raises SettingError if nothing says when an outcome without a day is known."""
    has_term = "term_months" in lender.applications or lender.term_months is not None
    if lender.is_dated and not has_term and "outcome_at" not in lender.outcomes:
        raise SettingError(
            "an outcome needs its day (--column outcome_at=) or the loan's planned life (--term-months N), which says "
            f"when it is known: found neither in {lender.outcomes.entity}"
        )


def _spellings(profile: FileProfile) -> tuple[Spelling, ...]:
    return tuple(spelling_of(column, may_be_date=looks_dated(column.name)) for column in profile.columns)


def _require_known(answers: Answers, files: Mapping[str, _File]) -> None:
    names_of_columns = {column.name for file in files.values() for column in file.profile.columns}
    known = names_of_columns | {
        f"{entity}.{column.name}" for entity, file in files.items() for column in file.profile.columns
    }
    for meaning, column in answers.column.items():
        if meaning not in meanings():
            raise SettingError(f"--column must name one of {', '.join(meanings())}: found {meaning!r}")
        if column not in known | {NONE}:
            raise SettingError(
                f"--column {meaning}= must be a column of the files, or {NONE}: found {column!r}; the files have "
                f"{', '.join(sorted(known))}"
            )
    for left in answers.read:
        if left.rpartition(".")[0] not in names_of_columns:
            raise SettingError(f"--read must be COLUMN.KEY=VALUE, of a column of the files: found {left!r}")
    if strange := sorted(set(answers.own) - known):
        raise SettingError(
            f"--own must be a column of the files, one of {', '.join(sorted(known))}: found {', '.join(strange)}"
        )
    _require_values_of(answers, files)


def _require_values_of(answers: Answers, files: Mapping[str, _File]) -> None:
    for text, outcome in answers.outcome.items():
        if outcome not in OUTCOMES:
            raise SettingError(f"--outcome {text}= must be one of {', '.join(OUTCOMES)}: found {outcome!r}")
    for entity, contract in answers.file.items():
        if entity not in files or contract not in CONTRACTS:
            raise SettingError(
                f"--file must be ENTITY=CONTRACT, one of {', '.join(files)} and one of {', '.join(CONTRACTS)}: found "
                f"{entity}={contract}"
            )


def _contracts(files: Mapping[str, _File], answers: Answers) -> dict[str, Contract]:
    """Which contract each file fills: the one of whose columns it has most, each contract one file."""
    if len(files) == 1:
        return dict.fromkeys(files, "applications")
    said = {entity: each for entity, text in answers.file.items() for each in CONTRACTS if each == text}
    found: dict[str, Contract] = dict(said)
    scores = sorted(
        (-_score(file, contract), at, entity, contract)
        for entity, file in files.items()
        for at, contract in enumerate(CONTRACTS)
        if entity not in said
    )
    for score, _, entity, contract in scores:
        if score < 0 and entity not in found and contract not in found.values():
            found[entity] = contract
    return {entity: found[entity] for entity in files if entity in found}


def _score(file: _File, contract: Contract) -> int:
    """How many columns of a contract a file has; 0 if it lacks one that it needs."""
    found = assigned(file.columns, contract, {})
    unique = {column.name for column in file.profile.columns if column.is_unique}
    is_one_each = found.get("borrower_id") in unique
    if not _NEEDED[contract] <= set(found) or (contract == "statements" and is_one_each):
        return 0
    if contract == "demographics" and (not is_one_each or len(found) < 2):
        return 0
    return 10 * len(_NEEDED[contract]) + len(found)


def _found(file: _File, contract: Contract, contracts: Mapping[str, Contract], answers: Answers) -> Mapping[str, str]:
    """Meaning → column of one file."""
    entity, own = file.profile.entity, {column.name for column in file.profile.columns}
    said: dict[str, str | None] = {}
    for meaning, text in answers.column.items():
        of_file, _, column = text.rpartition(".")
        if text == NONE:
            said[meaning] = None
        elif of_file in ("", entity) and column in own and contract in meanings()[meaning].of:
            said[meaning] = column
    if contract == "applications" and "outcomes" in contracts.values():
        said |= dict.fromkeys(("outcome", "outcome_at", "loss_amount"))
    found = assigned(file.columns, contract, said)
    return {**_by_values(file, found, said), **found} if contract == "applications" else found


def _by_values(file: _File, found: Mapping[str, str], said: Mapping[str, str | None]) -> dict[str, str]:
    """What no name says: the only date is the decision's, and a first column without repeats is the id."""
    free = [(column, spelling) for column, spelling in file.columns if column.name not in found.values()]
    more, dates = dict[str, str](), [column.name for column, spelling in free if spelling.kind in DATED]
    if len(dates) == 1 and "decided_at" not in {*found, *said}:
        more["decided_at"] = dates[0]
    first, spelling = file.columns[0]
    is_id = first.is_unique and spelling.kind in ("text", "number") and first.name not in found.values()
    if is_id and "application_id" not in {*found, *said}:
        more["application_id"] = first.name
    return more


def _questions(
    file: _File, contract: Contract, contracts: Mapping[str, Contract], found: Mapping[str, str], answers: Answers
) -> Iterator[Question]:
    if contract == "applications":
        yield from missing_decision(file.profile, file.spellings, found, answers)
    else:
        yield from missing_key(file.profile, _KEYS[contract], found, answers)
    if contract == "outcomes" or (contract == "applications" and "outcomes" not in contracts.values()):
        yield from missing_outcome(file.profile, file.spellings, found, answers)
    spelled = {column.name: (column, spelling) for column, spelling in file.columns}
    for meaning, column_name in found.items():
        yield from questions_about(meanings()[meaning], *spelled[column_name], answers)
    for column, spelling in _chosen(file, answers):
        yield from questions_about(own_meaning(contract, column, spelling), column, spelling, answers)


def _chosen(file: _File, answers: Answers) -> list[tuple[ColumnProfile, Spelling]]:
    """The columns that a person has made the lender's own."""
    named = set(answers.own)
    return [each for each in file.columns if named & {each[0].name, f"{file.profile.entity}.{each[0].name}"}]


def _proposal(
    file: _File, contract: Contract, found: Mapping[str, str], answers: Answers
) -> tuple[FileProposal, list[str]]:
    entity, meaning_of = file.profile.entity, {column: meaning for meaning, column in found.items()}
    fields, notes = list[Field](), list[str]()
    for column, spelling in file.columns:
        meaning = meaning_of.get(column.name)
        if meaning is None:
            continue
        require_keys(meanings()[meaning], column, spelling, answers)
        if meaning == "outcome":
            require_values(column, answers)
        if meaning in VOCABULARIES and not column.values:
            notes.append(f"{entity}.{column.name} has too many different values to be a {meaning}: it is left out")
            continue
        fields.append(field_of(meanings()[meaning], column, spelling, answers))
        notes += _notes_of_reading(f"{entity}.{column.name}", meanings()[meaning], column, spelling, answers)
        notes += _notes(f"{entity}.{column.name}", meaning, column)
    own = tuple(own_column(contract, *each, answers) for each in _chosen(file, answers))
    for column, spelling in _chosen(file, answers):
        its_meaning = own_meaning(contract, column, spelling)
        notes += _notes_of_reading(f"{entity}.{column.name}", its_meaning, column, spelling, answers)
    by_meaning, used = names(fields), {each.column for each in fields}
    if twice := [each.field.column for each in own if each.field.column in used]:
        raise SettingError(
            f"--own must be a column that has no meaning yet: found {', '.join(twice)}; --column "
            f"{meaning_of[twice[0]]}={NONE} takes its meaning away"
        )
    if own:
        notes.append(_note_of_own(entity, contract, [each.field.column for each in own]))
    used |= {each.field.column for each in own}
    has_key = all(each in by_meaning for each in _KEYS[contract])
    proposal = FileProposal(
        entity=entity,
        contract=contract,
        key=tuple(by_meaning[each].name for each in _KEYS[contract]) if has_key else _LINE,
        fields=tuple(fields),
        unused=tuple(column.name for column in file.profile.columns if column.name not in used),
        personal={column.name: what for column in file.profile.columns if (what := personal(column)) is not None},
        own=own,
    )
    return proposal, [*notes, *_notes_of_unused(file, proposal, answers)]


def _note_of_own(entity: str, contract: Contract, columns: Sequence[str]) -> str:
    named = ", ".join(f"{entity}.{column}" for column in columns)
    if contract == "demographics":
        return f"{named}: kept for fairness audits; no model reads them"
    return (
        f"{named}: a model will learn from this. The files do not say when they were written: make sure that it was "
        "before the decision, or the model knows the outcome. `loanlake lender check` shows what each tells alone"
    )


def _notes_of_unused(file: _File, proposal: FileProposal, answers: Answers) -> Iterator[str]:
    entity, without_effect = proposal.entity, {left.rpartition(".")[0] for left in answers.read}
    for column in file.profile.columns:
        if column.name not in proposal.unused:
            continue
        if proposal.key == _LINE and column.name in meanings()["application_id"].names and column.n_given:
            yield (
                f"{entity}.{column.name}: {column.n_given:,} values, of which {column.n_distinct:,} differ: it is not "
                f"the key, each row is known by its file and line. --column application_id={column.name} makes it the "
                "key"
            )
        if column.name in without_effect:
            yield f"{entity}.{column.name} is not used: --read {column.name}. has no effect"


def _notes_of_reading(
    where: str, meaning: Meaning, column: ColumnProfile, spelling: Spelling, answers: Answers
) -> Iterator[str]:
    """What will be set aside, at least (staging also looks at limits and digits), and what is assumed."""
    is_dated, is_read = spelling.kind in DATED, f"{column.name}.epoch" in answers.read
    days = next((shape for shape in column.shapes if is_dated and shape.text == "99999"), None)
    n_odd, odd = spelling.n_odd, spelling.odd
    if days is not None and is_read:
        n_odd, odd = n_odd - days.n, tuple(example for example in odd if example != days.example)
    if spelling.kind == "number" and meaning.format != "percent":
        signed = [shape for shape in column.shapes if "%" in shape.text]
        n_odd, odd = n_odd + sum(shape.n for shape in signed), (*odd, *(shape.example for shape in signed[:1]))
    if n_odd > 0:
        found = f"{n_odd:,} of {column.n_given:,} values do not fit" + (f" ({', '.join(odd)})" if odd else "")
        yield f"{where}: at least {found}: their rows will be set aside"
    if days is not None and not is_read and "epoch" not in spelling.keys:
        yield (
            f"{where}: {days.n:,} of them are whole numbers ({days.example}), as a spreadsheet's numbers of days: "
            f"--read {column.name}.epoch=excel reads them beside the dates"
        )
    if (note := accepted_thousands(column, spelling, answers)) is not None:
        yield f"{where}: {note}"


def _notes(where: str, meaning: str, column: ColumnProfile) -> Iterator[str]:
    if meanings()[meaning].required and meaning not in ("application_id", "outcome") and column.n_given < column.n_rows:
        yield f"{where}: {column.n_rows - column.n_given:,} rows have no value, and will be set aside"
    if meaning in _CLOCKS and (lone := column.lone_year) is not None:
        yield (
            f"{where}: one value is of {lone[0]}, the next newest of {lone[1]}. The newest date says which loans are "
            "mature: correct it in the file if it is a mistake"
        )
    if meaning in VOCABULARIES and (left := unmapped(meaning, column)):
        yield f"{where}: no {meaning} is known for {', '.join(left)}: written as other"
    if meaning == "outcome" and column.n_given < column.n_rows:
        yield f"{where}: {column.n_rows - column.n_given:,} rows have no outcome: those loans still run"
    if meaning == "application_id" and not column.is_unique:
        n_repeated, n_empty = column.n_given - column.n_distinct, column.n_rows - column.n_given
        yield f"{where}: {n_repeated:,} rows repeat an id and {n_empty:,} have none; the last row of an id counts"


def _listed(contracts: Mapping[str, Contract]) -> str:
    return ", ".join(f"{entity} ({contract})" for entity, contract in contracts.items())
