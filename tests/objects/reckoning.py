"""What lives in this interpreter by its own word; the targets import it. CPython 3.6 and later.

Everything that the collector tracks, and all that can be reached from there by gc.get_referents,
never through a module; in addition what they do not tell the collector: what code objects hold,
keys of dictionaries that are strings, names of classes and of what is written in C.
What lies in the data of libraries (static types; from 3.12 on many strings and code objects) is
left out: it is no heap.
"""

import ctypes
import gc
import os
import struct
import sys
from bisect import bisect_right
from collections import Counter
from types import CodeType, ModuleType

sys.path.append(os.path.join(os.path.dirname(__file__), os.pardir, "anatomy"))
from answering import libc, obey  # noqa: F401  what the targets of anatomy can be asked

_BATCH = 500
_HELD = "co_consts co_names co_filename co_name co_qualname co_linetable co_exceptiontable".split()
_OLDER = sys.version_info < (3, 11)
_HELD += ["co_code", "co_lnotab" if sys.version_info < (3, 10) else "co_name"] if _OLDER else []
# The methods of str, its methods' own, their docstrings', those of a class, __slots__.
_DESCRIPTORS = tuple({type(str.join), type(str.__add__), type(CodeType.co_name)})
_DESCRIPTORS += type(dict.__dict__["fromkeys"]), type(type.__dict__["__doc__"])
_NAMES = [type.__dict__[name].__get__ for name in ("__name__", "__qualname__")]
_BASES = [type.__dict__[name].__get__ for name in ("__mro__", "__bases__")]


def reckon():
    """Numbers of objects by the name of their type, and how many were left out as static."""
    data = _data_of_libraries()
    found, static = Counter(), 0
    seen = set()
    level = gc.get_objects()
    seen.update(map(id, (level, seen, data, found, sys._getframe())))
    level = [one for one in level if id(one) not in seen]
    while level:
        following = []
        for start in range(0, len(level), _BATCH):
            batch = level[start : start + _BATCH]
            seen.update(map(id, batch))
            for one in batch:
                if bisect_right(data, id(one)) % 2:
                    static += 1
                else:
                    found[type(one)] += 1
                following += _held_by(one)
            batch = [one for one in batch if not issubclass(type(one), ModuleType)]
            following += gc.get_referents(*batch)
        # Each once, in the order of their addresses.
        level = list({id(one): one for one in following if id(one) not in seen}.values())
    counts = Counter()
    for kind, count in found.items():
        counts[kind.__name__] += count
    return {"counts": counts, "static": static}


def _held_by(one):
    """What an object holds and does not tell."""
    if isinstance(one, dict):
        return list(dict.keys(one))
    if type(one) is range:
        return [one.start, one.stop, one.step]
    if isinstance(one, _DESCRIPTORS):
        return [one.__name__]
    if isinstance(one, type):
        is_heap = one.__flags__ & 1 << 9  # Py_TPFLAGS_HEAPTYPE; the others tell nothing
        return [get(one) for get in (_NAMES if is_heap else _BASES)]
    if type(one) is not CodeType:
        return []
    held = [getattr(one, name) for name in _HELD if hasattr(one, name)]
    if _OLDER:
        return held + [getattr(one, name) for name in ("co_varnames", "co_cellvars", "co_freevars")]
    names, kinds = struct.unpack("=2Q", os.pread(_MEMORY, 16, id(one) + _LOCALS))
    return [*held, *(ctypes.cast(each, ctypes.py_object).value for each in (names, kinds))]


def _find_locals():
    """Where code has co_localsplusnames, before co_localspluskinds (Include/cpython/code.h)."""
    code = (lambda here, there: None).__code__
    for offset in range(24, 200, 8):
        (pointer,) = struct.unpack("=Q", os.pread(_MEMORY, 8, id(code) + offset))
        try:
            is_tuple = os.pread(_MEMORY, 16, pointer)[8:] == struct.pack("=Q", id(tuple))
        except (OSError, OverflowError):
            continue
        if is_tuple and ctypes.cast(pointer, ctypes.py_object).value == ("here", "there"):
            return offset
    raise LookupError("co_localsplusnames")


_MEMORY = os.open("/proc/self/mem", os.O_RDONLY)
_LOCALS = 0 if _OLDER else _find_locals()


def _data_of_libraries():
    """Where the data of the program and its libraries lies: beginnings and ends, in order.

    By their program headers (elf(5)): what is mapped behind them may be Python's own.
    """
    edges, known = set(), set()
    with open("/proc/self/maps") as lines:
        for line in lines:
            fields = line.split(None, 5)
            path = fields[5].strip() if len(fields) > 5 else ""
            if path[:1] != "/" or path in known:
                continue
            known.add(path)
            try:
                with open(path, "rb") as file:
                    raw = file.read(4096)
            except OSError:
                continue
            if raw[:4] != b"\x7fELF":
                continue
            (offset,), (size, count) = (
                struct.unpack_from("=Q", raw, 32),
                struct.unpack_from("=2H", raw, 54),
            )
            headers = [struct.unpack_from("=2I6Q", raw, offset + size * n) for n in range(count)]
            loads = [(each[3], each[3] + each[6]) for each in headers if each[0] == 1]  # PT_LOAD
            bias = int(fields[0].split("-")[0], 16) - (loads[0][0] & -4096)
            edges.update((bias + start, bias + end) for start, end in loads)
    return [edge for span in sorted(edges) for edge in span]
