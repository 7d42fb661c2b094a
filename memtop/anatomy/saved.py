"""Censuses and snapshots in files, so that they can be compared later: JSON, with a version.

Files are written as memtop writes them: mode 0600, no link is followed, nothing is overwritten
unless that was said. What is read may be anybody's file: every value is checked, and what is wrong
with it is said. Bytes, seconds.
"""

from __future__ import annotations

import json
import math
import os
import stat
import types
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from memtop import __version__
from memtop.anatomy.objects import Objects
from memtop.errors import MemtopError
from memtop.paths import create

FORMAT, VERSION = "memtop objects", 1
MOST_BYTES = 64 << 20
_MOST = 1 << 62


def save(objects: Objects, path: str | os.PathLike[str], force: bool = False) -> Path:
    """Write it to a new file; MemtopError if that exists (unless `force`) or cannot be written."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "memtop": __version__,
        "objects": _plain(objects),
    }
    text = json.dumps(document, ensure_ascii=True, indent=1)
    return create(path, text.encode() + b"\n", force=force)


def load(path: str | os.PathLike[str]) -> Objects:
    """Read what `save` has written; MemtopError with the reason if it cannot be read."""
    name = os.fspath(path)
    try:
        # Without waiting: a pipe that nobody writes to is no file, either.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _bad(name, "it is no file")
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise MemtopError(f"cannot read {name}: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise _bad(name, f"it is larger than {MOST_BYTES >> 20} MiB")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise _bad(name, "it is no JSON") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _bad(name, "memtop census --save and memtop snapshot --save write such files")
    if document.get("version") != VERSION:
        of = document.get("memtop")
        by = f" (memtop {of})" if isinstance(of, str) and len(of) < 40 else ""
        raise _bad(name, f"another version has written it{by}")
    try:
        made = _made(Objects, document.get("objects"), "objects")
    except ValueError as error:
        raise _bad(name, str(error)) from None
    assert isinstance(made, Objects)
    return made


def _bad(name: str, reason: str) -> MemtopError:
    return MemtopError(f"{name} holds no census or snapshot: {reason}")


def _plain(value: Any) -> Any:
    """A value as JSON has it: those with fields as objects; what has its default is left out."""
    if is_dataclass(value):
        return {
            one.name: _plain(getattr(value, one.name))
            for one in fields(value)
            if one.default is MISSING or getattr(value, one.name) != one.default
        }
    if hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value


def _made(kind: Any, value: Any, where: str) -> Any:
    """A value of this type out of JSON; ValueError names the place that is wrong."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in parts:
            return None
        return _made(next(one for one in parts if one is not type(None)), value, where)
    if origin is Literal and value in parts:
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_made(parts[0], each, f"{where}[{n}]") for n, each in enumerate(value))
    if is_dataclass(kind) or hasattr(kind, "_fields"):
        return _record(kind, value, where)
    if kind is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if kind is int and type(value) is int and -_MOST < value < _MOST:
        return value
    if kind in (str, bool) and type(value) is kind:
        return value
    raise ValueError(f"{where} is wrong")


def _record(kind: Any, value: Any, where: str) -> Any:
    """One with fields; those that this version does not know are left out."""
    if not isinstance(value, dict):
        raise ValueError(f"{where} is wrong")
    known = get_type_hints(kind)
    names = [one.name for one in fields(kind)] if is_dataclass(kind) else list(kind._fields)
    given = {
        name: _made(known[name], value[name], f"{where}.{name}") for name in names if name in value
    }
    try:
        return kind(**given)
    except TypeError:
        lacking = [name for name in names if name not in given]
        raise ValueError(f"{where} lacks {', '.join(lacking[:3])}") from None
