"""Which CPython a process runs, told by the symbols and names of what it has mapped.

A program that embeds Python (uWSGI, gdb) is one, too. Whether the interpreter has been
initialized, or is finalizing, is not told here. PyPy exports other names and is none.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from memtop.probe.libraries import LIBPYTHON, name_python
from memtop.target.maps import Module
from memtop.target.memory import Memory
from memtop.target.symbols import Symbols

ENTRY = "PyGILState_Ensure"  # the only way in for a foreign thread; exported by 3.6 to 3.15
# Include/refcount.h (3.13: object.h): Py_DECREF of extension modules calls it, in these builds.
FREE_THREADED = "_Py_MergeZeroLocalRefcount"
# Include/object.h, 3.6 to 3.15: the same, of Py_REF_DEBUG, which Py_DEBUG implies.
DEBUG = "_Py_NegativeRefcount"

_LIKELY = re.compile(r"(?:lib)?python\d")
_TKINTER = re.compile(r"_tkinter\.|lib(?:tcl|tk)\d")
_LEVELS = {0xA: "a", 0xB: "b", 0xC: "rc"}  # Include/patchlevel.h


class Python(NamedTuple):
    """The interpreter of a process; `text` is as long a version as is known: `3.11.7`, `3.8`.

    `is_static`: it is part of the program itself, not a libpython. `path` and `symbols` are those
    of the file that has it; `version` is None if nothing tells it.
    """

    version: tuple[int, int] | None
    text: str | None
    is_free_threaded: bool
    is_debug: bool
    is_static: bool
    symbols: Symbols
    path: str


def find_python(memory: Memory, modules: Sequence[Module]) -> Python | None:
    """The interpreter that the process would call, None if there is none.

    OSError if the process has ended. A program's own symbols come before those of a libpython
    that an extension module has loaded beside them, as for the dynamic linker.
    """

    # Names first: a process may have hundreds of libraries, and each takes several reads.
    def order(module: Module) -> tuple[bool, bool]:
        return not _LIKELY.match(module.name), _is_library(module)

    for module in sorted(modules, key=order):
        symbols = open_symbols(memory, module)
        if symbols is not None and has(symbols, ENTRY):
            return _describe(memory, module, symbols, modules)
    return None


def has_tkinter(modules: Iterable[Module]) -> bool:
    """Whether Tcl is loaded, whose objects must be freed by the thread that made them.

    Not seen: a `_tkinter` with Tcl that is linked into the program itself.
    """
    return any(_TKINTER.match(module.name) for module in modules)


def open_symbols(memory: Memory, module: Module) -> Symbols | None:
    """The symbols of a module; None if it is no ELF file, or its header cannot be read.

    ProcessLookupError if the process has ended.
    """
    try:
        return Symbols(memory, module.base)
    except ProcessLookupError:
        raise
    except (OSError, ValueError):
        return None


def has(symbols: Symbols, name: str) -> bool:
    """Whether a symbol is there; damaged tables have none. ProcessLookupError as above."""
    try:
        return symbols.find(name) is not None
    except ProcessLookupError:
        raise
    except OSError:
        return False


def _is_library(module: Module) -> bool:
    return LIBPYTHON.match(module.name) is not None


def _describe(
    memory: Memory, module: Module, symbols: Symbols, modules: Sequence[Module]
) -> Python:
    text = _own_version(memory, symbols) or name_python(
        module.path, [each.name for each in (module, *modules)]
    )
    numbers = re.match(r"(\d+)\.(\d+)", text or "")
    return Python(
        version=(int(numbers[1]), int(numbers[2])) if numbers else None,
        text=text,
        is_free_threaded=has(symbols, FREE_THREADED),
        is_debug=has(symbols, DEBUG),
        is_static=not _is_library(module),
        symbols=symbols,
        path=module.path,
    )


def _own_version(memory: Memory, symbols: Symbols) -> str | None:
    """`Py_Version` (3.11 and later): PY_VERSION_HEX of the interpreter itself."""
    try:
        found = symbols.find("Py_Version")
        if found is None:
            return None
        (word,) = struct.unpack("<I", memory.read(found.address, 4))
    except ProcessLookupError:
        raise
    except OSError:
        return None
    major, minor, micro, level, serial = (
        word >> 24,
        word >> 16 & 0xFF,
        word >> 8 & 0xFF,
        word >> 4 & 0xF,
        word & 0xF,
    )
    if major != 3:
        return None
    tail = f"{_LEVELS[level]}{serial}" if level in _LEVELS else ""
    return f"{major}.{minor}.{micro}{tail}"
