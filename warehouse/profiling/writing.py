"""The files that a proposal becomes: macro, staging models and their YAML, the lender's settings, its line for dbt."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warehouse.errors import SettingError
from warehouse.profiling.columns import Field
from warehouse.profiling.meanings import CONTRACTS, Contract, contract_columns
from warehouse.profiling.own_columns import own_files
from warehouse.profiling.proposal import FileProposal, LenderProposal

if TYPE_CHECKING:
    from jinja2 import Environment

PROJECT_FILE = Path("dbt_project.yml")
_WIDTH = 120
_MACRO = re.compile(r"{%-? *macro +(\w+)")
_ROWS: Mapping[Contract, str] = {
    "applications": "loan",
    "outcomes": "outcome",
    "statements": "statement",
    "demographics": "borrower",
}
_GRAINS: Mapping[Contract, str] = {
    "applications": "One row per loan, as applied for. Nothing here was written after the decision.",
    "outcomes": "One row per loan that ended on a known day.",
    "statements": "One row per borrower and statement.",
    "demographics": "One row per borrower, for fairness audits.",
}
_NUMBERS, _TEXTS = ("double", "integer", "boolean"), ("varchar",)
#: When a file without dates becomes known.
_LOADED = "_loaded_at"
_LINE_ID = "_file || '-' || cast(_line as {{ dbt.type_string() }})"


def written(proposal: LenderProposal, *, title: str, lag_months: int, files: Mapping[str, Any]) -> dict[Path, str]:
    """Path in the dbt project → text, of every file of a lender; ``files``: how its files are read, by entity."""
    name, staging = proposal.name, Path(f"models/staging/{proposal.name}")
    shown = [_shown(proposal, file) for file in proposal.files]
    common = {"name": name, "title": title, "files": shown}
    contracts = {contract: sql for contract in CONTRACTS if (sql := _contract_sql(proposal, contract)) is not None}
    models = [{"name": f"stg_{name}__{each}", "grain": _first_sentence(sql)} for each, sql in contracts.items()]
    found = {Path(f"macros/{name}.sql"): _rendered("macro.sql", **common)}
    for file in shown:
        found[staging / f"{file['typed']}.sql"] = _rendered("typed.sql", file=file)
    found[staging / f"stg_{name}__rejects.sql"] = _rendered("rejects.sql", **common)
    for contract, sql in contracts.items():
        found[staging / f"stg_{name}__{contract}.sql"] = sql
    found[staging / f"stg_{name}.yml"] = _rendered("staging.yml", **common, contracts=models)
    found.update(own_files(name, {file.contract: file.own for file in proposal.files}, _rendered))
    read_as = {entity: _flow(keys) for entity, keys in files.items() if keys}
    limits = {each.meaning: [0, each.limit] for file in proposal.files for each in file.fields if each.limit}
    settings = {"title": title, "is_dated": proposal.is_dated, "lag_months": lag_months, "files": read_as}
    settings["window_months"] = proposal.window_months
    lacking = [] if proposal.term_months or "term_months" in proposal.applications else ["term_months"]
    if "requested_amount" not in proposal.applications:
        lacking.insert(0, "requested_amount")
    settings["optional"] = ", ".join(lacking)
    settings["limits"] = _flow(limits) if limits else ""
    found[Path(f"lenders/{name}.yml")] = _rendered("lender.yml", **settings)
    return found


def with_lender(project: str, name: str, contracts: Sequence[str]) -> str:
    """``dbt_project.yml`` with the lender's line under ``vars.lenders``, new or replaced; comments stay.

    Raises SettingError if the file has no such list.
    """
    line = f"    {name}: [{', '.join(contracts)}]\n"
    block = re.search(r"^  lenders:\n((?:    .*\n)+)", project, re.MULTILINE)
    if block is None:
        raise SettingError(f"{PROJECT_FILE} must have a list of lenders, `  lenders:` under `vars:`: restore the file")
    own = re.compile(rf"^    {re.escape(name)}:.*\n", re.MULTILINE)
    lines = own.sub(line, block[1]) if own.search(block[1]) else block[1] + line
    return project[: block.start(1)] + lines + project[block.end(1) :]


def write(project: Path, proposal: LenderProposal, texts: Mapping[Path, str]) -> list[Path]:
    """Write a lender into the dbt project in ``project``; returns the files."""
    edited = {PROJECT_FILE: with_lender((project / PROJECT_FILE).read_text(), proposal.name, filled(proposal))}
    for path, text in {**texts, **edited}.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)
    return [project / path for path in (*texts, *edited)]


def require_own_names(project: Path, texts: Mapping[Path, str]) -> None:
    """Raises SettingError for a macro or model that another file has: dbt would stop for every lender."""
    macros = {
        macro: path
        for path in (project / "macros").rglob("*.sql")
        if path.relative_to(project) not in texts
        for macro in _MACRO.findall(path.read_text())
    }
    models = {path.stem: path for path in (project / "models").rglob("*.sql") if path.relative_to(project) not in texts}
    taken = [
        *(
            f"macro {name} in {macros[name]}"
            for text in texts.values()
            for name in _MACRO.findall(text)
            if name in macros
        ),
        *(
            f"model {path.stem} in {models[path.stem]}"
            for path in texts
            if path.suffix == ".sql" and path.stem in models
        ),
    ]
    if taken:
        raise SettingError(
            f"names that a lender's files declare must not exist yet: found {', '.join(taken)}; choose another name "
            "for the lender or, with ENTITY=PATH, for the kind of file"
        )


def require_no_leftovers(project: Path, name: str, texts: Mapping[Path, str]) -> None:
    """Raises SettingError for models of the lender that would stay, and use what is replaced."""
    models = sorted((project / "models").glob(f"*/{name}/*.sql"))
    left = [path for path in models if path.relative_to(project) not in texts]
    if left:
        raise SettingError(
            f"every model of {name} must be one of this proposal: found {', '.join(map(str, left))}, which "
            "would stay and use what is replaced; delete these files, or move them elsewhere, first"
        )


def filled(proposal: LenderProposal) -> list[Contract]:
    """The contracts that a lender fills, in their order."""
    return [contract for contract in CONTRACTS if contract == "outcomes" or proposal.file(contract) is not None]


def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # the templates' own marks are brackets: what is written has braces for dbt
    return Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - it writes SQL and YAML, not HTML
        keep_trailing_newline=True,
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        comment_start_string="[#",
        comment_end_string="#]",
    )


def _rendered(template: str, **values: Any) -> str:
    return _environment().get_template(f"{template}.jinja").render(**values)


def _typed_model(proposal: LenderProposal, file: FileProposal) -> str:
    """A kind of file may be called as a contract is, whose model has that name."""
    entity = f"{file.entity}_file" if file.entity in CONTRACTS else file.entity
    return f"stg_{proposal.name}__{entity}"


def _shown(proposal: LenderProposal, file: FileProposal) -> dict[str, Any]:
    """What the templates show of a file."""
    personal = [column for column in file.personal if column in file.unused]
    return {
        "entity": file.entity,
        "macro": f"{proposal.name}_{file.entity}",
        "table": f"{proposal.name}_{file.entity}",
        "typed": _typed_model(proposal, file),
        "row": _ROWS[file.contract],
        "key": "[" + ", ".join(f"'{column}'" for column in file.key) + "]",
        "unique_key": ", ".join(dict.fromkeys([*file.key, "_loaded_at", "_file", "_line"])),
        "versions_of": ", ".join(file.key),
        "readings": [_reading(each.reading) for each in (*file.fields, *(own.field for own in file.own))],
        "unused": textwrap.fill(", ".join(file.unused), _WIDTH, initial_indent="    ", subsequent_indent="    "),
        "identifies": _flow(_identifies(proposal, file)),
        "personal": f", personal: [{', '.join(personal)}]" if personal else "",
        "columns": list(_tested(file)),
    }


def _identifies(proposal: LenderProposal, file: FileProposal) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    prefix = _prefix(proposal)
    for meaning, kind in (("application_id", "application"), ("borrower_id", "borrower")):
        if meaning in file:
            found.setdefault(file[meaning].column, {})[kind] = prefix
    if file.contract == "applications" and "borrower_id" not in file and "application_id" in file:
        found[file["application_id"].column]["borrower"] = prefix
    return found


def _tested(file: FileProposal) -> Iterator[dict[str, str]]:
    keys = [each for each in file.fields if each.name in file.key]
    for each in keys:
        tests = "[not_null, unique: {config: {where: _replaced_at is null}}]" if len(keys) == 1 else "[not_null]"
        yield {"name": each.name, "description": f"{_described(each)}, part of the key.", "tests": tests, "comment": ""}
    if "outcome_at" in file and "outcome" in file:
        running = _running(file["outcome"])
        where = f'where: "{running}", ' if running else ""
        yield {
            "name": file["outcome_at"].name,
            "description": "When the loan ended.",
            "tests": f"[{{not_null: {{config: {{{where}severity: warn}}}}}}]",
            "comment": "a loan that ended on an unknown day has no outcome yet: a warning, which stops nothing",
        }


def _described(field: Field) -> str:
    return {
        "application_id": "The lender's number of the loan",
        "borrower_id": "The lender's number of the borrower",
        "statement_on": "The day of the statement",
    }[field.meaning]


def _contract_sql(proposal: LenderProposal, contract: Contract) -> str | None:
    if contract == "outcomes":
        return _outcomes_sql(proposal)
    file = proposal.file(contract)
    if file is None:
        return None
    values = {each.meaning: each.sql for each in file.fields if each.meaning in contract_columns(contract)}
    values |= _ids(proposal, file, contract)
    if contract == "applications":
        if proposal.term_months is not None:
            values["term_months"] = str(proposal.term_months)
        values.setdefault("decided_at", _LOADED)
        values.setdefault("known_at", values["decided_at"])
    elif contract == "statements":
        values.setdefault("known_at", _known_after(file["statement_on"]))
    own = [each.name for each in file.own]
    return _contract_text(contract, values, typed=_typed_model(proposal, file), grain=_GRAINS[contract], own=own)


def _outcomes_sql(proposal: LenderProposal) -> str:
    file, applications = proposal.outcomes, proposal.applications
    state, loss = file["outcome"], "loss_amount" if "loss_amount" in file else ""
    if not proposal.is_dated:
        values = {
            **_ids(proposal, file, "outcomes"),
            "is_default": f"{state.name} = 'default'",
            "outcome_at": _LOADED,
            "known_at": _LOADED,
            **({"loss_amount": loss} if loss else {}),
        }
        grain = "One row per loan that has ended. The file has no dates: an outcome is known when it is loaded."
        typed = _typed_model(proposal, file)
        return _contract_text("outcomes", values, typed=typed, grain=grain, where=_running(state))
    if "outcome_at" not in file:
        lacks = [column for column in ("loss_amount",) if not loss]
        return _rendered(
            "outcomes_at_term.sql",
            typed=_typed_model(proposal, file),
            applications=_typed_model(proposal, applications),
            decided=applications["decided_at"].sql,
            term=applications["term_months"].sql if "term_months" in applications else str(proposal.term_months),
            their_id=applications["application_id"].name if "application_id" in applications else "",
            is_apart=file is not applications,
            own_id=file["application_id"].name if "application_id" in file else "",
            application_id=_ids(proposal, file, "outcomes")["application_id"],
            state=state.name,
            running=_running(state),
            loss=loss,
            lacks=_lacks(lacks),
        )
    ended = file["outcome_at"]
    moment = f"cast({ended.name} as timestamp)" if ended.is_day else ended.name
    values = {
        **_ids(proposal, file, "outcomes"),
        "is_default": f"{state.name} = 'default'",
        "outcome_at": moment,
        "known_at": file["known_at"].sql if "known_at" in file else _known_after(ended),
        **({"loss_amount": loss} if loss else {}),
    }
    where = " and ".join(filter(None, [_running(state), f"{ended.name} is not null"]))
    grain = _GRAINS["outcomes"] + (" A running loan has no known outcome, and no row." if _running(state) else "")
    return _contract_text("outcomes", values, typed=_typed_model(proposal, file), grain=grain, where=where)


def _running(state: Field) -> str:
    """The condition that a loan has ended; empty where every loan of the file has."""
    if "running" in state.reading["values"].values():
        return f"{state.name} <> 'running'"
    return "" if state.reading.get("required") else f"{state.name} is not null"


def _known_after(day: Field) -> str:
    """What happened on a day, or in a month, is known when it is over."""
    moment = f"cast({day.name} as timestamp)"
    if day.spelling.kind == "month":
        return f"{{{{ months_later('{moment}', 1) }}}}"
    return f"{moment} + interval 1 day" if day.is_day else day.name


def _ids(proposal: LenderProposal, file: FileProposal, contract: Contract) -> dict[str, str]:
    """Ids with the lender's prefix: they are unique over all lenders."""
    prefix = _prefix(proposal)
    own = f"'{prefix}' || {file['application_id'].name if 'application_id' in file else _LINE_ID}"
    borrower = f"'{prefix}' || {file['borrower_id'].name}" if "borrower_id" in file else own
    return {
        column: {"application_id": own, "borrower_id": borrower}[column]
        for column in contract_columns(contract)
        if column in ("application_id", "borrower_id")
    }


def _prefix(proposal: LenderProposal) -> str:
    return f"{proposal.name}-"


def _contract_text(
    contract: Contract,
    values: Mapping[str, str],
    *,
    typed: str,
    grain: str,
    where: str = "",
    own: Sequence[str] = (),
) -> str:
    columns = contract_columns(contract)
    groups: dict[str, list[str]] = {"ids": [], "numbers": [], "texts": [], "own": [*own], "times": []}
    for column, described in columns.items():
        if column in values:
            line = values[column] if values[column] == column else f"{values[column]} as {column}"
            groups[_group(column, described["data_type"])].append(line)
    comment = "-- what happened on a day is known when the day is over"
    lines = [group for group in groups.values() if group]
    commaed = [[f"{line}," for line in group] for group in lines]
    if contract == "demographics":  # after the others' columns come those of the line
        commaed[-1][-1] = commaed[-1][-1].removesuffix(",")
    if "interval 1 day" in commaed[-1][-1]:
        commaed[-1].insert(-1, comment)
    lacks = [column for column in columns if column not in values]
    return _rendered(
        "contract.sql",
        contract=contract,
        grain=grain,
        groups=commaed,
        typed=typed,
        where=where,
        lacks=_lacks(lacks),
        own=own,
    )


def _group(column: str, data_type: str) -> str:
    if column.endswith("_id"):
        return "ids"
    return "numbers" if data_type in _NUMBERS else "texts" if data_type in _TEXTS else "times"


def _lacks(columns: Sequence[str]) -> str:
    if not columns:
        return ""
    quoted = ", ".join(f"'{column}'" for column in columns)
    if len(quoted) < 60:
        return f", lacks=[{quoted}]"
    return f", lacks=[\n{textwrap.fill(quoted, _WIDTH - 2, initial_indent=' ' * 8, subsequent_indent=' ' * 8)},\n    ]"


def _reading(reading: Mapping[str, Any]) -> str:
    """A reading as Jinja writes it, on as few lines as fit; its values last."""
    rest = {key: value for key, value in reading.items() if key != "values"}
    line = _flow_jinja(rest)
    if "values" not in reading:
        return line
    whole = f"{line[:-1]}, 'values': {_flow_jinja(reading['values'])}}}"
    if len(whole) <= _WIDTH - 10:
        return whole
    # lines break between two values only: within one, the line's end would be part of the text
    each = (_flow_jinja({text: meant})[1:-1].replace(" ", "\0") for text, meant in reading["values"].items())
    broken = textwrap.wrap(", ".join(each), _WIDTH - 16, break_long_words=False, break_on_hyphens=False)
    lines = textwrap.indent("\n".join(broken), " " * 12).replace("\0", " ")
    return f"{line[:-1]}, 'values': {{\n{lines}}}}}"


def _flow_jinja(value: Any) -> str:
    """A value in Jinja's literals, which are Python's but for true and false."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_flow_jinja(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow_jinja, value)) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _flow(value: Any) -> str:
    """A value as YAML on one line."""
    import yaml

    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _first_sentence(sql: str) -> str:
    comment = " ".join(line.removeprefix("-- ") for line in sql.splitlines() if line.startswith("-- "))
    return comment.split(". ")[0].removesuffix(".") + "."
