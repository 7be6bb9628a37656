"""Numbers by their shape: decimal and thousands separators, currency, percent sign, negatives, units."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from warehouse.profiling.profile import Shape

#: A sign, or a code of three capitals.
_CURRENCY = "[$€£¥₹₽₩₺₫₴]|(?:US|R|A|C)[$]|Rs[.]?|kr|zł|Kč|Ft|[A-Z]{3}"
#: Signs and codes of one currency. A sign that several currencies have is each file's own: $ beside CAD is asked.
_SAME_CURRENCY = (
    *(frozenset(("$", "US$", "USD")), frozenset(("€", "EUR")), frozenset(("£", "GBP")), frozenset(("¥", "JPY"))),
    *(frozenset(("₹", "Rs", "Rs.", "INR")), frozenset(("₽", "RUB")), frozenset(("₩", "KRW")), frozenset(("₺", "TRY"))),
    *(frozenset(("₫", "VND")), frozenset(("₴", "UAH")), frozenset(("R$", "BRL")), frozenset(("A$", "AUD"))),
    *(frozenset(("C$", "CAD")), frozenset(("zł", "PLN")), frozenset(("Kč", "CZK")), frozenset(("Ft", "HUF"))),
)
_SHAPE = re.compile(
    rf"(?P<open>\()?(?P<sign>[+-])? ?(?P<before>{_CURRENCY})? ?(?P<inner>[+-])?"
    r"(?P<body>[.,]?9(?:[9.,' \u00a0\u202f’]*9)?[.]?)(?P<exponent>[eE][+-]?9{1,3})?"
    rf" ?(?P<minus>-)?(?P<percent>%)? ?(?P<after>{_CURRENCY})?(?P<close>\))?(?P<unit> ?[^\W\d_]+[.]?)?"
)
_GROUPS = {".": "[.]", ",": ",", "'": "['’]", "space": "[ \u00a0\u202f]"}


class _Separators(NamedTuple):
    decimal: str
    thousands: str | None

    def fit(self, body: str, *, begins_with_zero: bool) -> bool:
        """Whether a text's digits and separators are written so; no group of thousands begins with 0 (0,125)."""
        point = re.escape(self.decimal)
        fraction = f"(?:{point}9*)?"
        plain = f"(?:9+{fraction}|{point}9+)"
        if self.thousands is None or begins_with_zero:
            return re.fullmatch(plain, body) is not None
        if self.thousands == "lakh":
            return re.fullmatch(f"(?:9{{1,2}}(?:,99)*,999|9{{1,3}}){fraction}", body) is not None
        return re.fullmatch(f"9{{1,3}}(?:{_GROUPS[self.thousands]}999)+{fraction}|{plain}", body) is not None

    @property
    def keys(self) -> dict[str, Any]:
        decimal = {} if self.decimal == "." else {"decimal": self.decimal}
        return {**decimal, **({"thousands": self.thousands} if self.thousands else {})}


#: In order of preference: of two that fit the same texts, the first is proposed.
_SEPARATORS = (
    *(_Separators(".", None), _Separators(".", ","), _Separators(",", None), _Separators(",", ".")),
    *(_Separators(".", "'"), _Separators(".", "space"), _Separators(",", "space"), _Separators(".", "lakh")),
)


@dataclass(frozen=True)
class NumberSpelling:
    """How many texts are numbers, the keys of their reading, and what a person must choose."""

    n: int
    keys: Mapping[str, Any]
    choices: Mapping[str, tuple[str, ...]]
    fitting: frozenset[str]


def number_spelling(shapes: Sequence[Shape]) -> NumberSpelling | None:
    """The spelling of most shapes that are numbers; None if none is.

    >>> number_spelling([Shape("$9,999.99", 3, "$1,234.00"), Shape("$999.99", 1, "$123.00")]).keys
    {'thousands': ',', 'currency': ['$']}
    >>> number_spelling([Shape("9.999,99 €", 3, "1.234,50 €")]).keys
    {'decimal': ',', 'thousands': '.', 'currency': ['€']}
    """
    found = [(shape, match) for shape in shapes if (match := _SHAPE.fullmatch(shape.text)) and _is_whole(match)]
    unit = Counter[str]()
    for shape, match in found:
        unit[match["unit"] or ""] += shape.n
    if not unit:
        return None
    ((suffix, _),) = unit.most_common(1)
    found = [(shape, match) for shape, match in found if (match["unit"] or "") == suffix]
    n_by = {each: sum(shape.n for shape, match in found if _fits(each, shape, match)) for each in _SEPARATORS}
    best = max(_SEPARATORS, key=lambda each: n_by[each])  # the first of equals
    if n_by[best] == 0:
        return None
    fitting = [(shape, match) for shape, match in found if _fits(best, shape, match)]
    keys, choices = dict(_keys(fitting, suffix)), dict[str, tuple[str, ...]]()
    if _may_be_either(fitting, n_by, best):
        choices["thousands"] = (",", "none") if best.thousands == "," else ("none", ".")
    currencies = list(dict.fromkeys(marks_of(mark, keys["currency"])[0] for mark in keys.get("currency", ())))
    if len(currencies) > 1:
        choices["currency"] = tuple(currencies)
    return NumberSpelling(
        sum(shape.n for shape, _ in fitting),
        {**best.keys, **keys},
        choices,
        frozenset(shape.text for shape, _ in fitting),
    )


def _fits(separators: _Separators, shape: Shape, match: re.Match[str]) -> bool:
    return separators.fit(match["body"], begins_with_zero=_begins_with_zero(shape))


def _begins_with_zero(shape: Shape) -> bool:
    # the example is the least text of its shape: if it does not begin with 0, none does
    return next(filter(str.isdecimal, shape.example)) == "0"


def marks_of(currency: str, marks: Sequence[str]) -> list[str]:
    """The marks of a column that are the same currency as one of them.

    >>> marks_of("EUR", ["$", "EUR", "€"]), marks_of("kr", ["SEK", "kr"])
    (['EUR', '€'], ['kr'])
    """
    same = next((each for each in _SAME_CURRENCY if currency in each), frozenset((currency,)))
    return [mark for mark in marks if mark in same]


def _is_whole(match: re.Match[str]) -> bool:
    signs = [match["sign"], match["inner"], match["minus"], match["open"]]
    return (match["open"] is None) == (match["close"] is None) and sum(sign is not None for sign in signs) <= 1


def _keys(fitting: Sequence[tuple[Shape, re.Match[str]]], suffix: str) -> Iterator[tuple[str, Any]]:
    marks = sorted({mark for _, match in fitting for mark in (match["before"], match["after"]) if mark})
    if marks:
        yield "currency", marks
    if any(match["open"] for _, match in fitting):
        yield "negative", "parentheses"
    elif any(match["minus"] for _, match in fitting):
        yield "negative", "trailing"
    signed = sum(shape.n for shape, match in fitting if match["percent"])
    if signed:
        yield "sign", "required" if signed == sum(shape.n for shape, _ in fitting) else "optional"
    if suffix:
        yield "suffix", suffix


def _may_be_either(
    fitting: Sequence[tuple[Shape, re.Match[str]]], n_by: Mapping[_Separators, int], best: _Separators
) -> bool:
    """Whether every separator may be a decimal or a thousands separator: 1.234 alone, or 1,234 alone."""
    bodies = [(shape, match["body"]) for shape, match in fitting if re.search("[.,]", match["body"])]
    return (
        bool(bodies)
        and all(re.fullmatch("9{1,3}[.,]999", body) and not _begins_with_zero(shape) for shape, body in bodies)
        and n_by[best] == max(n_by[_Separators(",", None)], n_by[_Separators(",", ".")])
    )
