"""What the names of mapped files tell: which Python, which allocator, which C library.

Only names are looked at, so a file may be deleted or out of reach. It is imported by a process that
must start quickly, so it imports next to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LIBPYTHON = re.compile(r"libpython(\d\.\d+)[a-z]*\.so")
_PYTHON = re.compile(r"python(\d\.\d+)[a-z]*\Z")
# An extension module with an ABI tag is only ever loaded by that version: cpython-36m, cpython-312.
_EXTENSION = re.compile(r"\.cpython-(\d)(\d+)[a-z]*-[\w-]+\.so\Z")
# The suffix that auditwheel adds is left out on purpose: such a copy serves one extension module.
MALLOC = re.compile(
    r"lib(jemalloc|mimalloc|tcmalloc)(?:[_-](?:minimal|and_profiler|debug|secure|pic))*\.so"
)
MUSL = re.compile(r"(?:ld-musl-[\w-]+|libc\.musl-[\w-]+)\.so")
GLIBC = re.compile(r"libc(?:-\d\.\d+)?\.so(?:\.6(?:\.\d+)?)?\Z")


def name_python(program: str, names: Iterable[str]) -> str | None:
    """The version of CPython, such as `3.12`; None if it is none, or the names do not tell.

    The program comes first (a Python that loads the libpython of another one is what it was), then
    libpython, then an extension module. `names` are those of the mapped files, without folders.
    """
    if own := _PYTHON.search(program):
        return own[1]
    names = tuple(names)
    for name in names:
        if library := LIBPYTHON.match(name):
            return library[1]
    for name in names:
        if extension := _EXTENSION.search(name):
            return f"{extension[1]}.{extension[2]}"
    return None
