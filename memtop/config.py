"""The settings: defaults < memtop.toml < environment; the caller lays the command line over them.

The fields of `Config` are the one table that makes the reading, the errors and the annotated
default file. A wrong value is an error that names file, line and key; nothing is guessed. A file
is changed in place: its comments stay. Which keys can be bound and what a filter means is known
above; `wrong` and `unknown_keys` make their errors. Times are in seconds.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from memtop.columns import BY_ID, COLUMNS
from memtop.errors import MemtopError, UsageError
from memtop.units import parse_duration_s

if TYPE_CHECKING:
    from pathlib import Path

Environ = Mapping[str, str]

LEAST_INTERVAL_S, MOST_INTERVAL_S = 0.1, 86400.0
THEMES = ("auto", "dark", "light", "ansi")
VIEWS = ("tree", "container", "user", "flat")
PRESETS = ("", "vim", "htop")
LARGEST_FILE_BYTES = 256 * 1024  # more is no config file; /dev/zero never ends


class Origin(NamedTuple):
    """Where a value comes from: a line of a file, or an environment variable."""

    path: Path | None = None
    line: int | None = None
    variable: str = ""


NOWHERE = Origin()


class ConfigError(UsageError):
    """A setting that makes no sense, or a file that cannot be read."""

    def __init__(self, what: str, key: str = "", origin: Origin = NOWHERE) -> None:
        self.path, self.line, self.key = origin.path, origin.line, key
        place = str(origin.path or "") + (f", line {origin.line}" if origin.line else "")
        # The name of a variable says which key it is.
        parts = (origin.variable, what) if origin.variable else (place, key, what)
        super().__init__(": ".join(filter(None, parts)))


class Setting(NamedTuple):
    """What a key may be; `read` raises ValueError, `from_text` reads its environment variable."""

    read: Callable[[Any], Any]
    allowed: str
    help: str
    from_text: Callable[[str], Any] | None = str


def _interval_s(value: Any) -> float:
    seconds = parse_duration_s(value) if isinstance(value, str) else value
    if type(seconds) not in (int, float) or not LEAST_INTERVAL_S <= seconds <= MOST_INTERVAL_S:
        raise ValueError(f"{_shown(value)} is not a time within bounds")
    return float(seconds)


def _one_of(choices: Iterable[Any]) -> Callable[[Any], Any]:
    results = choices if isinstance(choices, dict) else {choice: choice for choice in choices}

    def read(value: Any) -> Any:
        if type(value) not in (str, bool) or value not in results:  # the number 1 is not true
            raise ValueError(f"{_shown(value)} is not known")
        return results[value]

    return read


def _text(value: Any) -> str:
    # Lone surrogates stand for bytes that are no UTF-8; no file could hold them.
    if not isinstance(value, str) or any("\ud800" <= sign <= "\udfff" for sign in value):
        raise ValueError(f"{_shown(value)} is not a text")
    return value


def _each(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read_list(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{_shown(value)} is not a list")
        return tuple(dict.fromkeys(map(read, value)))  # what is said twice counts once

    return read_list


def _pattern(value: Any) -> re.Pattern[str]:
    text = _text(value.pattern if isinstance(value, re.Pattern) else value)
    try:
        pattern = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{_shown(text)} is not a regular expression: {error}") from None
    if pattern.match(""):
        raise ValueError(f"{_shown(text)} matches the empty text, which is everywhere")
    return pattern


def _keys(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f"{_shown(value)} is not a table")
    bound: dict[str, str] = {}
    for binding, keys in value.items():
        parts = [part.strip() for part in keys.split(",")] if isinstance(keys, str) else [""]
        if not all(re.fullmatch(r"\S+", part) for part in parts):
            raise ValueError(f"{_shown(keys)} does not name keys", binding)
        bound[binding] = ",".join(parts)
    return bound


def _truth(text: str) -> Any:
    true, false = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
    return text.lower() in true if text.lower() in true + false else text


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _words(names: Iterable[str]) -> str:
    return ", ".join(name or '""' for name in names)


def _key(default: Any, *about: Any) -> Any:
    return field(default_factory=lambda: default, metadata={"setting": Setting(*about)})


_DURATION = 'seconds from 0.1 to 86400, or a duration such as "2s" or "1m"'
_FILTER = 'a filter such as "python rss>500m"; "" shows everything'
_PATTERNS = r"a list of regular expressions such as ['acct-\d+'] that match at least a character"
_BINDINGS = 'a table of texts with keys separated by commas, such as quit = "q,f10"'
_ADDED = "Columns besides the usual ones."
_HIDDEN = "Hidden in command lines, besides known secrets."
_BOUND = "Keys of your own, by binding id; they replace the usual ones."
_IDS = _words(column.id for column in COLUMNS)
_BOOL = "true, false"
_column = _one_of({name: column.id for name, column in BY_ID.items()})
_flag = _one_of((True, False))


@dataclass(frozen=True, slots=True)
class Config:
    """All settings. `origins` says, by key, where those come from that are not defaults."""

    interval_s: float = _key(1.0, _interval_s, _DURATION, "Time between two samples.")
    theme: str = _key("auto", _one_of(THEMES), _words(THEMES), "Colours; auto finds out.")
    columns: tuple[str, ...] = _key((), _each(_column), f"a list of {_IDS}", _ADDED, _split)
    sort: str = _key("rate", _column, _IDS, "The column that orders the rows.")
    filter: str = _key("", _text, _FILTER, "What is shown.")
    view: str = _key("tree", _one_of(VIEWS), _words(VIEWS), "How processes are grouped.")
    ascii: bool = _key(False, _flag, _BOOL, "Nothing but ASCII characters.", _truth)
    mouse: bool = _key(True, _flag, _BOOL, "Click and wheel, or the terminal's own.", _truth)
    mask: tuple[re.Pattern[str], ...] = _key((), _each(_pattern), _PATTERNS, _HIDDEN, None)
    preset: str = _key("", _one_of(PRESETS), _words(PRESETS), "Keys of another program.")
    keys: Mapping[str, str] = _key({}, _keys, _BINDINGS, _BOUND, None)
    origins: Mapping[str, Origin] = field(default_factory=dict, compare=False, repr=False)


_TABLE = [f for f in fields(Config) if f.metadata]
FIELDS = {f.name.removesuffix("_s"): f.name for f in _TABLE}
SETTINGS: dict[str, Setting] = {f.name.removesuffix("_s"): f.metadata["setting"] for f in _TABLE}
VARIABLES = {key: f"MEMTOP_{key.upper()}" for key in SETTINGS if SETTINGS[key].from_text}


def find(environ: Environ, explicit: str | None = None) -> Path | None:
    """The file in force, if there is one; one that was asked for has to exist."""
    asked, usual = explicit or environ.get("MEMTOP_CONFIG", ""), _usual_place(environ)
    if not asked and not os.path.exists(usual):
        return None
    from pathlib import Path  # costs milliseconds, and most have no file

    path = Path(os.path.expanduser(asked) or usual)
    try:
        path.stat()
    except OSError as error:
        named = "" if explicit or not asked else " (named by MEMTOP_CONFIG)"
        raise ConfigError(f"cannot be read: {error.strerror}{named}", "", Origin(path)) from None
    return path


def _usual_place(environ: Environ) -> str:
    """Where the file is unless somebody says otherwise; empty without a home."""
    base = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):  # XDG: anything else is to be ignored
        base = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".config")
    return os.path.join(base, "memtop", "memtop.toml") if os.path.isabs(base) else ""


def load(path: Path | None, environ: Environ) -> Config:
    """The settings of a file and the environment, which beats it."""
    values, origins = _read(_text_of(path), path) if path is not None else ({}, {})
    for key, setting in SETTINGS.items():
        text = environ.get(VARIABLES.get(key, ""), "").strip()
        if setting.from_text and text:  # an empty variable is as good as none
            origins[key] = Origin(variable=VARIABLES[key])
            values[FIELDS[key]] = _value(key, setting.from_text(text), origins)
    return Config(**values, origins=origins)


def wrong(config: Config, key: str, what: str) -> ConfigError:
    """The error of a value that only others can judge: a filter, the keys of a binding."""
    return ConfigError(what, key, _origin(config.origins, key))


def unknown_keys(config: Config, known_ids: Iterable[str]) -> ConfigError | None:
    """What is wrong with `keys` if it binds what does not exist."""
    known = sorted(known_ids)
    for binding in config.keys:
        if binding not in known:
            hint = _nearest(binding, known)
            if binding in SETTINGS:
                hint = f"; the setting {binding} belongs above [keys]"
            return wrong(config, f"keys.{binding}", f"there is no such binding{hint}")
    return None


def _nearest(word: str, known: Iterable[str]) -> str:
    import difflib

    near = difflib.get_close_matches(word, known, 1, 0.7)
    return f"; is {near[0]} meant?" if near else f"; there are {_words(known)}"


def _value(key: str, value: Any, origins: Mapping[str, Origin]) -> Any:
    try:
        return SETTINGS[key].read(value)
    except ValueError as error:
        name = ".".join((key, *error.args[1:]))  # of a table: what is wrong in it
        what = f"{error.args[0]}; allowed: {SETTINGS[key].allowed}"
        raise ConfigError(what, name, _origin(origins, name)) from None


def _origin(origins: Mapping[str, Origin], key: str) -> Origin:
    """That of the key, or of the first below it: `colours.red = 1` is where `colours` begins."""
    below = (origins[name] for name in origins if name.startswith(f"{key}."))
    return origins.get(key) or next(below, NOWHERE)


def _text_of(path: Path) -> str:
    data = b""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_FILE_BYTES + 1)
        if len(data) > LARGEST_FILE_BYTES:
            raise ConfigError("is too large for a config file", "", Origin(path))
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", "", Origin(path)) from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError("this is not UTF-8", "", Origin(path, line)) from None


def _read(text: str, path: Path | None) -> tuple[dict[str, Any], dict[str, Origin]]:
    """The values of a file, by field, and where each key stands."""
    try:
        data = _parse(text)
        origins = {name: Origin(path, one.line) for one in _statements(text) for name in one.names}
    except (ValueError, RecursionError) as error:  # ValueError: a number of 5,000 digits, too
        what, _, place = str(error).partition(" (at ")
        number = re.match(r"line (\d+)", place)
        line = int(number[1]) if number else text.count("\n") + 1 if place else None
        hint = "; texts need quotation marks" if what == "Invalid value" else ""
        raise ConfigError(f"this is not TOML: {what}{hint}", "", Origin(path, line)) from None
    for key in data:
        if key not in SETTINGS:
            what = f"there is no such setting{_nearest(key, SETTINGS)}"
            raise ConfigError(what, key, _origin(origins, key))
    return {FIELDS[key]: _value(key, data[key], origins) for key in data}, origins


def _parse(text: str) -> dict[str, Any]:
    try:
        import tomllib  # type: ignore[import-not-found, unused-ignore]
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib  # type: ignore[import-not-found, no-redef, unused-ignore]
    return dict(tomllib.loads(text))


class _Statement(NamedTuple):
    """A header or a key with its value, which may span lines; offsets into the text."""

    names: tuple[str, ...]  # the dotted keys it sets; more than one by an inline table
    line: int
    start: int
    value: int  # after the sign of equality
    end: int  # of the value; a comment may follow
    above: bool  # no table was opened yet, nor does this open one


# Strings (long ones may end in five quotes), comments, brackets, signs of equality, line ends.
_TOKEN = (
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})|"(?:\\.|[^"\\\n])*"'
    r"|'''.*?'''(?:'{0,2})|'[^'\n]*'|\#[^\n]*|[][{}=\n]"
)


def _statements(text: str) -> Iterator[_Statement]:
    """The statements of a text that is known to be TOML."""
    start, line, depth, prefix, above = 0, 1, 0, "", True
    value: int | None = None
    end: int | None = None
    for token in re.finditer(_TOKEN, text + "\n", re.DOTALL):
        sign = token[0]
        depth += (sign in ("[", "{")) - (sign in ("]", "}"))
        if depth:
            continue
        if sign == "=" and value is None:
            value = token.end()
        elif sign[0] == "#":
            end = token.start()
        elif sign == "\n":
            stop = min(token.end(), len(text))
            source = text[start : token.start() if end is None else end].rstrip()
            if source:
                names = tuple(_leaves(_parse(source), "" if value is None else prefix))
                if value is None:
                    above, prefix = False, f"{names[0]}."
                yield _Statement(names, line, start, value or start, start + len(source), above)
            line += text.count("\n", start, stop)
            start, value, end = stop, None, None


def _leaves(table: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def _toml(value: Any) -> str:
    """A value as TOML, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value).removesuffix(".0")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    text = value.pattern if isinstance(value, re.Pattern) else str(value)
    if "\\" in text and "'" not in text and text.isprintable():
        return f"'{text}'"  # a regular expression reads better without doubled strokes
    text = re.sub(r'["\\]', r"\\\g<0>", text)
    return f'"{"".join(c if c.isprintable() else f"{chr(92)}U{ord(c):08x}" for c in text)}"'


def _shown(value: Any) -> str:
    kind = "a table" if isinstance(value, dict) else "a list" if isinstance(value, list) else ""
    return kind or (_toml(value) if len(str(value)) < 60 else f"{_toml(str(value)[:59])} …")


def default_text() -> str:
    """The annotated file with every default."""
    import textwrap

    lines = ["# memtop.toml: $XDG_CONFIG_HOME/memtop or ~/.config/memtop, or --config FILE."]
    lines += ["# Environment variables beat this file, options beat both."]
    for key, setting in SETTINGS.items():
        default = _toml(getattr(Config(), FIELDS[key])) if key != "keys" else ""
        about = [setting.help, f"Allowed: {setting.allowed}.", f"Default: {default or 'none'}."]
        about += [f"Variable: {VARIABLES[key]}."] if key in VARIABLES else []
        lines.append("")
        for text in about:
            lines += textwrap.wrap(text, 96, initial_indent="# ", subsequent_indent="#   ")
        lines += [f"{key} = {default}"] if default else ["# [keys]", '# quit = "q,f10"']
    return "\n".join(lines) + "\n"


def updated_text(text: str, changes: Mapping[str, object], path: Path | None = None) -> str:
    """The text of a file with some keys set anew; all other lines and the comments stay.

    Keys are those of the file, without `keys`. A list over several lines becomes one line; what
    already has that value is left as it is. `path` is for errors, if the text itself is wrong.
    """
    values, _ = _read(text, path)
    newline = "\r\n" if "\r\n" in text else "\n"
    for key, raw in changes.items():
        if key not in SETTINGS or key == "keys":
            raise ConfigError("cannot be saved", key)
        value = _value(key, raw, {})
        if FIELDS[key] in values and values[FIELDS[key]] == value:
            continue
        statements = list(_statements(text))
        above = [one for one in statements if one.above]
        same = next((one for one in above if one.names == (key,)), None)
        if same:
            text = f"{text[: same.value]} {_toml(value)}{text[same.end :]}"
            continue
        at = len(text)
        if statements:  # after the last key, else before the first table
            at = text.find("\n", above[-1].end) + 1 or at if above else statements[0].start
        gap = newline if at and text[at - 1] != "\n" else ""
        blank = newline if statements and not above else ""
        text = f"{text[:at]}{gap}{key} = {_toml(value)}{newline}{blank}{text[at:]}"
    return text


def save(changes: Mapping[str, object], environ: Environ, explicit: str | None = None) -> Path:
    """Set some keys in the file in force, else in a new one at the usual place; returns where.

    A new file has mode 0600, an existing one keeps its mode and owner. Raises MemtopError.
    """
    from pathlib import Path

    path = find(environ, explicit)
    if path is None and not _usual_place(environ):
        raise MemtopError("there is no home to keep the settings in")
    path = path or Path(_usual_place(environ))
    try:
        for folder in reversed(path.parents):
            if not folder.exists():
                folder.mkdir(mode=0o700)
        before = os.lstat(path) if os.path.lexists(path) else None
        if before and not stat.S_ISREG(before.st_mode):
            kind = "a symbolic link" if stat.S_ISLNK(before.st_mode) else "not a regular file"
            raise MemtopError(f"{path} is {kind}: it is left as it is")
        text = _text_of(path) if before else "# memtop --print-config writes all settings.\n"
        _replace(path, updated_text(text, changes, path).encode(), before)
    except OSError as error:
        raise MemtopError(f"cannot write {path}: {error.strerror}") from None
    return path


def _replace(path: Path, data: bytes, before: os.stat_result | None) -> None:
    """Put a new file in the place of the one that was there `before`, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            if before:  # root may save what belongs to a user, or what all are to read
                os.fchown(fd, before.st_uid, before.st_gid)
                os.fchmod(fd, stat.S_IMODE(before.st_mode))
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
