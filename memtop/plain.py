"""Values with fields as JSON, and out of JSON again, every one checked against its type.

For dataclasses and named tuples of texts, numbers and tuples of one type. What is read may be
anybody's file: nothing is trusted, and what is wrong with it is said. No files are touched here.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_MOST = 1 << 62


def as_plain(value: Any) -> Any:
    """A value as JSON has it: those with fields as objects; what has its default is left out."""
    if is_dataclass(value):
        return {
            one.name: as_plain(getattr(value, one.name))
            for one in fields(value)
            if one.default is MISSING or getattr(value, one.name) != one.default
        }
    if hasattr(value, "_asdict"):
        return {name: as_plain(each) for name, each in value._asdict().items()}
    if isinstance(value, tuple):
        return [as_plain(each) for each in value]
    return value


def from_plain(kind: Any, value: Any, where: str, names: Mapping[str, Any] | None = None) -> Any:
    """A value of this type out of JSON; ValueError names the place that is wrong.

    `names`: types that the module of `kind` imports for type checking only.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in parts:
            return None
        return from_plain(next(one for one in parts if one is not type(None)), value, where, names)
    if origin is Literal and value in parts:
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(
            from_plain(parts[0], each, f"{where}[{n}]", names) for n, each in enumerate(value)
        )
    if is_dataclass(kind) or hasattr(kind, "_fields"):
        return _record(kind, value, where, names)
    if kind is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if kind is int and type(value) is int and -_MOST < value < _MOST:
        return value
    if kind in (str, bool) and type(value) is kind:
        return value
    raise ValueError(f"{where} is wrong")


def _record(kind: Any, value: Any, where: str, types_: Mapping[str, Any] | None) -> Any:
    """One with fields; those that this version does not know are left out."""
    if not isinstance(value, dict):
        raise ValueError(f"{where} is wrong")
    known = get_type_hints(kind, localns=None if types_ is None else dict(types_))
    names = [one.name for one in fields(kind)] if is_dataclass(kind) else list(kind._fields)
    given = {
        name: from_plain(known[name], value[name], f"{where}.{name}", types_)
        for name in names
        if name in value
    }
    try:
        return kind(**given)
    except TypeError:
        lacking = [name for name in names if name not in given]
        raise ValueError(f"{where} lacks {', '.join(lacking[:3])}") from None
