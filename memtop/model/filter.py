"""The filter language: which processes are shown.

    worker redis          both words, in name or command, case ignored
    python,uvicorn        either
    !test                 not
    /pool_\\d+$/           a regular expression
    "two words"           a word with a blank in it
    rss>500m cpu>=50%     columns: = != < <= > >= ~ (contains, or /regex/); k m g, %, s m h
    user=root,www         a column with alternatives
    python growing        flags: a Python process; its memory is rising or leak-like

Terms are separated by blanks and all of them must hold. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from memtop.columns import BY_ID, Column
from memtop.errors import FilterError
from memtop.model.state import Row, State
from memtop.units import parse_duration_s, parse_size_bytes

Predicate = Callable[[Row, State], bool]

_OPERATORS = ("!=", "<=", ">=", "=", "<", ">", "~")
_COMPARISON = re.compile(r"([A-Za-z_]+)\s*(!=|<=|>=|=|<|>|~)\s*")
_COMPARED = re.compile(r"([A-Za-z_]+)\s*[!<=>~]")
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


_FLAGS: dict[str, Predicate] = {
    "python": lambda row, state: row.python or "python" in row.name.lower(),
    "growing": lambda row, state: row.is_growing,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was read: its text, what it lets through, the columns it compares.

    Two are equal when their texts are.
    """

    text: str
    predicates: tuple[Predicate, ...]
    columns: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.predicates)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def matches(self, row: Row, state: State) -> bool:
        """Whether a row passes."""
        return all(predicate(row, state) for predicate in self.predicates)


def parse(text: str) -> Filter:
    """Read a filter; FilterError says where it is wrong."""
    predicates = []
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        try:
            predicate, position = _term(text, position)
        except FilterError as error:
            error.text = text
            raise
        predicates.append(predicate)
    columns = {BY_ID[name.lower()].id for name in _COMPARED.findall(text) if name.lower() in BY_ID}
    return Filter(text, tuple(predicates), frozenset(columns))


EVERYTHING = parse("")


def _term(text: str, position: int) -> tuple[Predicate, int]:
    if text[position] == "!":
        begin = position
        while position < len(text) and text[position] == "!":
            position += 1
        if position >= len(text) or text[position].isspace():
            raise FilterError("nothing follows the !", position - 1)
        inner, end = _term(text, position)
        if (position - begin) % 2 == 0:
            return inner, end
        return (lambda row, state: not inner(row, state)), end
    comparison = _COMPARISON.match(text, position)
    if comparison:
        return _comparison(text, comparison)
    alternatives = []
    while True:
        predicate, position = _word(text, position)
        alternatives.append(predicate)
        if position >= len(text) or text[position] != ",":
            break
        position += 1
        if position >= len(text) or text[position].isspace():
            break  # a trailing comma, while somebody types on
    return _any_of(alternatives), position


def _any_of(alternatives: list[Predicate]) -> Predicate:
    if len(alternatives) == 1:
        return alternatives[0]
    return lambda row, state: any(one(row, state) for one in alternatives)


def _word(text: str, position: int) -> tuple[Predicate, int]:
    if text[position] == "/":
        pattern, end = _regex(text, position)
        return (lambda row, state: _searches(pattern, row)), end
    value, end = _value(text, position)
    flag = _FLAGS.get(value)
    if flag is not None and text[position] != '"':
        return flag, end
    needle = value.lower()
    return (lambda row, state: _contains(needle, row)), end


def _contains(needle: str, row: Row) -> bool:
    return needle in row.name.lower() or (row.command is not None and needle in row.command.lower())


def _searches(pattern: re.Pattern[str], row: Row) -> bool:
    return bool(pattern.search(row.name) or (row.command and pattern.search(row.command)))


def _value(text: str, position: int) -> tuple[str, int]:
    """A word or a quoted text, and where it ends; a comma or a blank ends a word."""
    if text[position] == '"':
        end = text.find('"', position + 1)
        if end < 0:
            raise FilterError('the quote is not closed by a second "', position)
        return text[position + 1 : end], end + 1
    end = position
    while end < len(text) and not text[end].isspace() and text[end] != ",":
        end += 1
    if end == position:
        raise FilterError("nothing to look for", position)
    return text[position:end], end


def _regex(text: str, position: int) -> tuple[re.Pattern[str], int]:
    """A regular expression between slashes; `\\/` is a slash in it."""
    end = position + 1
    while end < len(text) and text[end] != "/":
        end += 2 if text[end] == "\\" else 1
    if end >= len(text):
        # A path such as /usr/bin is a word; so is a regular expression while it is typed.
        word, end = _value(text, position)
        return re.compile(re.escape(word), re.IGNORECASE), end
    if end + 1 < len(text) and not text[end + 1].isspace() and text[end + 1] != ",":
        word, end = _value(text, position)
        return re.compile(re.escape(word), re.IGNORECASE), end
    try:
        return re.compile(text[position + 1 : end], re.IGNORECASE), end + 1
    except (re.error, OverflowError, RecursionError) as error:
        where = position + 1 + (getattr(error, "pos", None) or 0)
        raise FilterError(f"not a regular expression: {error}", where) from None


def _comparison(text: str, match: re.Match[str]) -> tuple[Predicate, int]:
    column = BY_ID.get(match[1].lower())
    if column is None:
        names = " ".join(sorted({c.id for c in BY_ID.values()}))
        raise FilterError(f"no column {match[1]!r}; there are {names}", match.start())
    operator, position = match[2], match.end()
    if operator == "~" and column.kind != "text":
        raise FilterError(
            f"{column.id} is a number: compare it with = != < <= > >=", match.start(2)
        )
    alternatives = []
    while position < len(text) and not text[position].isspace():
        if operator == "~" or column.kind == "text":
            predicate, position = _text_comparison(column, operator, text, position)
        else:
            value, end = _value(text, position)
            predicate = _number_comparison(column, operator, value, position)
            position = end
        alternatives.append(predicate)
        if position < len(text) and text[position] == ",":
            position += 1
        else:
            break
    if not alternatives:
        raise FilterError(f"nothing to compare {column.id} with", match.end())
    if operator == "!=":  # none of them
        return (lambda row, state: all(one(row, state) for one in alternatives)), position
    return _any_of(alternatives), position


def _text_comparison(
    column: Column, operator: str, text: str, position: int
) -> tuple[Predicate, int]:
    get = column.get
    if operator == "~" and text[position] == "/":
        pattern, end = _regex(text, position)
        return (lambda row, state: bool(pattern.search(str(get(row) or "")))), end
    value, end = _value(text, position)
    wanted = value.lower()
    if operator == "~":
        return (lambda row, state: wanted in _lower(get(row))), end
    if operator == "=":
        return (lambda row, state: _lower(get(row)) == wanted), end
    if operator == "!=":
        return (lambda row, state: _lower(get(row)) != wanted), end
    compare = _ORDER[operator]
    return (lambda row, state: compare(_lower(get(row)), wanted)), end  # type: ignore[arg-type]


def _lower(value: object) -> str:
    return "" if value is None else str(value).lower()


def _number_comparison(column: Column, operator: str, value: str, position: int) -> Predicate:
    """Compare a number; a row whose value is unknown passes only `!=`."""
    compare = _ORDER[operator]
    of_total = value.endswith("%") and column.kind == "size"
    try:
        wanted = _parse_number(column, value.removesuffix("%") if of_total else value, of_total)
    except ValueError as error:
        raise FilterError(f"{column.id}: {error}", position) from None

    def holds(row: Row, state: State) -> bool:
        number = number_of(column, row, state)
        limit: float | None = wanted
        if of_total:
            total_kib = state.host.total_kib
            limit = None if total_kib is None else wanted / 100 * total_kib
        if number is None or limit is None:
            return operator == "!="
        return compare(number, limit)

    return holds


def _parse_number(column: Column, value: str, of_total: bool) -> float:
    """The number that a value means, in the unit of the column's getter."""
    if of_total or column.kind in ("count", "percent"):
        bare = value.removesuffix("%") if column.kind == "percent" else value
        if not re.fullmatch(r"-?[0-9]+(\.[0-9]*)?", bare, re.ASCII):
            raise ValueError(f"{value!r} is not a number")
        return float(bare)
    if column.kind == "duration":
        return parse_duration_s(value)
    if column.kind == "rate":  # MiB a minute, as shown; with a unit, that much a minute
        sign = -1 if value.startswith(("-", "−")) else 1
        bare = value.lstrip("+-−")
        mebibytes = float(bare) if re.fullmatch(r"[0-9]+(\.[0-9]*)?", bare, re.ASCII) else None
        per_minute = parse_size_bytes(bare) if mebibytes is None else mebibytes * 1024**2
        return sign * per_minute / 60
    amount = parse_size_bytes(value)
    return amount / 1024 if column.kind == "size" else amount


def number_of(column: Column, row: Row, state: State) -> float | None:
    """The number a column shows for a row, for comparing and sorting; None is unknown."""
    if column.kind == "duration":
        return None if row.started_at is None else state.taken_at - row.started_at
    value: float | None = column.get(row)
    return value
