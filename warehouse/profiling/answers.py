"""What a person has said, by flags or at the prompt, and what is still to be asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from warehouse.errors import SettingError

#: In place of a column: none of the file's has this meaning.
NONE = "none"


@dataclass(frozen=True)
class Answers:
    """Flags of ``loanlake lender new`` by their left side, each ``LEFT=RIGHT``.

    ``column``: meaning → column (``amount``, ``loans.amount``) or ``none``. ``read``: ``column.key`` → value of that
    key of its reading. ``outcome``: text in the file → default, repaid, running or unknown. ``file``: entity →
    contract. ``term_months``: the planned life of every loan. ``window_months``: the label's window, for loans that
    have no planned life. ``own``: columns (``job``, ``loans.job``) that become the lender's own.
    """

    column: Mapping[str, str] = field(default_factory=dict)
    read: Mapping[str, str] = field(default_factory=dict)
    outcome: Mapping[str, str] = field(default_factory=dict)
    file: Mapping[str, str] = field(default_factory=dict)
    term_months: int | None = None
    window_months: int | None = None
    own: tuple[str, ...] = ()

    def with_answer(self, question: "Question", answer: str) -> "Answers":
        """These and the answer to a question, which must be one of its choices if it has any."""
        if question.choices and answer not in question.choices:
            raise SettingError(
                f"{question.flag} must be one of {', '.join(question.choices)}: found {answer!r} ({question.text})"
            )
        name, _, left = question.flag.removeprefix("--").removesuffix("=").partition(" ")
        if name == "term-months":
            return replace(self, term_months=whole(answer, question.flag))
        changed: dict[str, Any] = {name: {**getattr(self, name), left: answer}}
        return replace(self, **changed)


@dataclass(frozen=True)
class Question:
    """What the files cannot say. ``flag``: the option that answers it; ``proposal``: what ``--yes`` accepts."""

    flag: str
    text: str
    choices: tuple[str, ...] = ()
    proposal: str | None = None


def whole(text: str, flag: str) -> int:
    """A whole number above 0; raises SettingError naming the flag."""
    if not text.isdecimal() or int(text) < 1:
        raise SettingError(f"{flag} must be a whole number, 1 or more: found {text!r}")
    return int(text)
