"""``loanlake lender new``: profile files, ask what they cannot say, write a lender."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warehouse.errors import SettingError, SourceFileError
from warehouse.raw import SOURCES, column_name, is_name
from warehouse.settings import DBT_PROJECT_DIR, IS_CLONE, Settings

if TYPE_CHECKING:
    from warehouse.profiling.answers import Answers, Question
    from warehouse.profiling.profile import FileProfile
    from warehouse.profiling.proposal import FileProposal, LenderProposal

#: In place of a meaning.
_OWN = "own column"
#: With its hyphen a name is the prefix of ids, which has 20 characters at most.
_MOST_CHARACTERS = 19


def _pairs(_ctx: click.Context, _param: click.Parameter, texts: Sequence[str]) -> dict[str, str]:
    # the last =: a text of a file may have one
    pairs = [text.rpartition("=")[::2] for text in texts]
    for (left, right), text in zip(pairs, texts, strict=True):
        if not left or not right:
            raise click.BadParameter(f"must be LEFT=RIGHT: found {text!r}")
    return dict(pairs)


@click.command()
@click.argument("name")
@click.argument("files", nargs=-1, required=True)
@click.option("--title", help="The lender's name for people.  [default: NAME]")
@click.option(
    "--column",
    "columns",
    multiple=True,
    callback=_pairs,
    metavar="MEANING=COLUMN",
    help="Column of the files with a meaning, such as decided_at=approved, or none; repeatable.",
)
@click.option(
    "--read",
    "readings",
    multiple=True,
    callback=_pairs,
    metavar="COLUMN.KEY=VALUE",
    help="How a column is written, such as approved.pattern=DD/MM/YYYY; repeatable.",
)
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    callback=_pairs,
    metavar="TEXT=OUTCOME",
    help="Whether a text means default, repaid, running or unknown (no outcome); repeatable.",
)
@click.option(
    "--file",
    "contracts",
    multiple=True,
    callback=_pairs,
    metavar="ENTITY=CONTRACT",
    help="Whether a file has applications, outcomes, statements or demographics; repeatable.",
)
@click.option(
    "--layout",
    "layouts",
    multiple=True,
    callback=_pairs,
    metavar="ENTITY.KEY=VALUE",
    help="How a file is read, such as loans.encoding=cp1252; also delimiter, title_lines, sheet; repeatable.",
)
@click.option(
    "--own",
    multiple=True,
    metavar="COLUMN",
    help="Column without a known meaning that models of this lender learn from; repeatable.",
)
@click.option("--term-months", type=click.IntRange(1, 480), help="Planned life of every loan, where no column has it.")
@click.option(
    "--window-months",
    type=click.IntRange(1, 600),
    help="A default within this time after the decision counts; needed where loans have no planned life.",
)
@click.option(
    "--lag-months",
    type=click.IntRange(0, 120),
    default=1,
    show_default=True,
    help="Months after a loan's planned life in which its last outcomes may still arrive.",
)
@click.option("--yes", is_flag=True, help="Accept what is proposed, and ask nothing that has a proposal.")
@click.option("--force", is_flag=True, help="Overwrite what is proposed in files of this lender that exist.")
def new(
    *,
    name: str,
    files: tuple[str, ...],
    title: str | None,
    columns: Mapping[str, str],
    readings: Mapping[str, str],
    outcomes: Mapping[str, str],
    contracts: Mapping[str, str],
    layouts: Mapping[str, str],
    own: tuple[str, ...],
    term_months: int | None,
    window_months: int | None,
    lag_months: int,
    yes: bool,
    force: bool,
) -> None:
    """Declare the lender NAME from its FILES.

    Profiles the files, proposes, asks and writes. Each of FILES is a path, whose name is the kind of file, or
    ENTITY=PATH. Their columns are proposed a meaning, a format and a key; what the files cannot say is asked, or given
    by a flag. Without a terminal, a missing answer is an error that names its flag. Nothing is loaded. Needs a clone of
    the repository.

    A column whose meaning is not known is not used, unless --own names it: only you know whether it was written before
    the decision.

    Writes the column formats, staging models, tests and descriptions, the lender's settings, and its line in
    dbt_project.yml: yours to edit (docs/bring-your-own-lender.md). Keys of the lender's file that are not proposed,
    such as connections, pulls and policy, stay as they are.

    \b
        loanlake lender new mybank loans.csv
        loanlake lender new cards accounts.csv statements.csv --column decided_at=opened --yes
        loanlake lender new motors loans=2024.xlsx --read issued.pattern=DD/MM/YYYY --outcome "P/L=default"
    """
    from warehouse.lenders.kept_keys import has_proposed_keys, title_of, with_kept_keys
    from warehouse.profiling.answers import Answers
    from warehouse.profiling.writing import require_no_leftovers, require_own_names, write, written

    if not IS_CLONE:
        raise SettingError(
            "a lender is an edit of the dbt project: run this in a clone of the repository; found an installed package "
            f"in {DBT_PROJECT_DIR}"
        )
    _require_name(name)
    profiles, read_as = _profiles(name, files, layouts)
    answers = Answers(columns, readings, outcomes, contracts, term_months, window_months, own)
    proposal, answers = _answered(name, profiles, answers, accept=yes)
    if _is_terminal() and not yes and not own:
        answers = replace(answers, own=_chosen(proposal))
        proposal, _ = _answered(name, profiles, answers, accept=True)
    lender_file = Path(f"lenders/{name}.yml")
    before = _text_of(DBT_PROJECT_DIR / lender_file)
    title = title or title_of(before, str(lender_file)) or name
    texts = written(proposal, title=title, lag_months=lag_months, files=read_as)
    existing = [path for path in texts if (DBT_PROJECT_DIR / path).exists()]
    if existing == [lender_file] and not has_proposed_keys(before, str(lender_file)):
        existing = []  # it says only where rows are pulled from, and the like, which stays
    if existing and not force:
        raise SettingError(
            f"files of {name} must not exist yet: found {', '.join(str(DBT_PROJECT_DIR / path) for path in existing)}; "
            "--force overwrites them"
        )
    texts[lender_file], kept = with_kept_keys(texts[lender_file], before, str(lender_file))
    require_own_names(DBT_PROJECT_DIR, texts)
    require_no_leftovers(DBT_PROJECT_DIR, name, texts)
    _show(proposal, profiles)
    if _is_terminal() and not yes:
        click.confirm(f"Write {len(texts)} files into {DBT_PROJECT_DIR}?", default=True, abort=True)
    for path in write(DBT_PROJECT_DIR, proposal, texts):
        as_before = f", with its own {', '.join(kept)}" if kept and path == DBT_PROJECT_DIR / lender_file else ""
        click.echo(f"wrote {path.relative_to(DBT_PROJECT_DIR.parent)}{as_before}")
    click.echo(
        "read and edit them, then load the files (`loanlake ingest`), run `dbt build --target prod` in warehouse/, and "
        f"`loanlake lender check {name}`"
    )


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _require_name(name: str) -> None:
    if not is_name(name) or len(name) > _MOST_CHARACTERS:
        raise SettingError(
            "the name of a lender must be lower case letters, digits and _, a letter first, at most "
            f"{_MOST_CHARACTERS} characters, since ids begin with it: found {name!r}"
        )
    if name in SOURCES:
        raise SettingError(f"{name} is a lender that Loanlake brings: choose another name")


def _entity(text: str) -> tuple[str, Path]:
    """A file's kind and path, of ``ENTITY=PATH`` or a path alone."""
    left, _, right = text.partition("=")
    if right and is_name(left):
        return left, Path(right)
    path = Path(text)
    entity = column_name(path.name.split(".")[0])
    if not is_name(entity):
        raise SettingError(
            f"the kind of file of {path} must be named, ENTITY={path}: its own name begins with no letter"
        )
    return entity, path


def _profiles(
    name: str, files: Iterable[str], layouts: Mapping[str, str]
) -> "tuple[list[FileProfile], dict[str, dict[str, str | int]]]":
    """The profile of each kind of file, and how its first file was read where that is unusual."""
    from warehouse.profiling.profile import profile_table
    from warehouse.profiling.tables import declared_layout, load, scratch, unusual
    from warehouse.sources.target import target_of

    settings, read_as = Settings.from_environment(), dict[str, dict[str, str | int]]()
    named = [_entity(text) for text in files]
    for entity, _ in named:
        target_of(name, entity)  # ingest refuses a table of Loanlake's own: refused here before anything is written
    declared = {entity: declared_layout(entity, layouts) for entity, _ in named}
    if strange := [each for each in layouts if each.partition(".")[0] not in declared]:
        raise SettingError(f"--layout must be of one of the files, {', '.join(declared)}: found {', '.join(strange)}")
    with scratch() as con:
        for entity, path in named:
            try:
                layout = load(con, path, entity, declared[entity], settings)
            except SourceFileError as error:
                hint = f". A key is declared as --layout {entity}.KEY=VALUE" if "declare" in str(error) else ""
                raise SourceFileError(f"{error}{hint}") from None
            read_as.setdefault(entity, unusual(layout))
        profiles = [profile_table(con, entity, entity) for entity in read_as]
    if empty := [profile.entity for profile in profiles if profile.n_rows == 0]:
        raise SourceFileError(f"a file must have at least one row: {', '.join(empty)} has a header and no rows")
    return profiles, read_as


def _answered(
    name: str, profiles: "Sequence[FileProfile]", answers: "Answers", *, accept: bool
) -> "tuple[LenderProposal, Answers]":
    """The proposal once no question is open, and all answers; each may open or close other questions."""
    from warehouse.profiling.proposal import propose

    while True:
        proposal, questions = propose(name, profiles, answers)
        if proposal is not None and not questions:
            return proposal, answers
        open_ones = [each for each in questions if not (accept and each.proposal is not None)]
        if open_ones and not _is_terminal():
            raise SettingError(_unanswered(open_ones))
        question = questions[0]
        answer = question.proposal if accept and question.proposal is not None else _prompt(question)
        answers = answers.with_answer(question, answer)


def _chosen(proposal: "LenderProposal") -> tuple[str, ...]:
    """The columns that a person chooses as the lender's own, from those without a meaning."""
    unused = [f"{file.entity}.{column}" for file in proposal.files for column in file.unused]
    if not unused:
        return ()
    named = click.prompt(
        f"No contract has {', '.join(unused)}. Which were known before the decision and should a model learn from? "
        "Names with commas between them",
        default="none",
    )
    return tuple(each for each in map(str.strip, named.split(",")) if each not in ("", "none"))


def _unanswered(questions: "Sequence[Question]") -> str:
    asked = [
        f"{each.text} Give {_as_typed(each)}" + (f", or --yes for {each.proposal}" if each.proposal is not None else "")
        for each in questions
    ]
    return f"{len(asked)} {'answers are' if len(asked) > 1 else 'answer is'} needed:\n  " + "\n  ".join(asked)


def _as_typed(question: "Question") -> str:
    option, _, left = question.flag.partition(" ")
    right = f"{left}{'|'.join(question.choices) or 'N'}"
    return f'{option} "{right}"' if " " in right else f"{option} {right}"


def _prompt(question: "Question") -> str:
    kind = click.Choice(question.choices) if question.choices else None
    return str(click.prompt(question.text, type=kind, default=question.proposal))


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _show(proposal: "LenderProposal", profiles: "Sequence[FileProfile]") -> None:
    n_rows = {profile.entity: profile.n_rows for profile in profiles}
    for file in proposal.files:
        holds = "applications and outcomes" if file is proposal.outcomes is proposal.applications else file.contract
        click.echo(f"{file.entity}: {n_rows[file.entity]:,} rows of {holds}, known by {', '.join(file.key)}")
        for left, meaning, how in _lines(file):
            click.echo(f"  {left:<28} {meaning:<24} {how}")
        if file.unused:
            click.echo(f"  not used: {', '.join(file.unused)}")
        if file.personal:
            click.echo(f"  personal: {', '.join(f'{column} ({what})' for column, what in file.personal.items())}")
    for note in proposal.notes:
        click.echo(f"note: {note}")


def _lines(file: "FileProposal") -> Iterable[tuple[str, str, str]]:
    fields = [*((field.meaning, field) for field in file.fields), *((_OWN, own.field) for own in file.own)]
    for meaning, field in fields:
        left_out = ("name", "from", "format", "required", "values")
        details = [f"{key} {value}" for key, value in field.reading.items() if key not in left_out]
        values = field.reading.get("values", {})
        details += values if meaning == _OWN else [f"{text} → {value}" for text, value in values.items()]
        yield field.column, meaning, ": ".join(filter(None, [field.reading["format"], ", ".join(details)]))
