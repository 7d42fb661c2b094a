"""Who serves malloc in a process, and where its C library's functions are.

The dynamic linker's own list tells the order in which a symbol is looked for (struct r_debug of
link.h, which debuggers use): the first file that exports `malloc` serves the program and its
libraries. So a replacement is found under any name, also in the program itself, and a library
that merely brings an allocator for its own use is none. Only memory is read, as in `symbols`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from memtop.probe.libraries import GLIBC, MALLOC, MUSL
from memtop.target.maps import Module
from memtop.target.memory import Memory
from memtop.target.python import has, open_symbols
from memtop.target.symbols import Symbols

MAX_LINKED = 512  # files of the linker's list; the C library is among the first ones
_VERSION = re.compile(rb"\d+\.\d+")
_NAMED = re.compile(r"libc-(\d\.\d+)\.so")
# What only this allocator exports: jemalloc(3), mimalloc.h, gperftools' tcmalloc.h; the last is
# of the tcmalloc that Google publishes apart.
_MARKS = {
    "jemalloc": ("mallctl", "je_mallctl"),
    "mimalloc": ("mi_malloc",),
    "tcmalloc": ("tc_malloc", "TCMallocInternalMalloc"),
}


class Allocator(NamedTuple):
    """Who serves malloc. `name` None: no C library was found, or something that is not known.

    `name` is `glibc`, `musl`, `jemalloc`, `mimalloc` or `tcmalloc`; `version` is known of glibc
    only. `provider`: the name of the file that serves malloc (`libjemalloc.so.2`, also the
    program's own), None if that could not be found out. `symbols`: those of the C library, also
    if another one serves malloc. `thread_symbols`: of what exports pthread_create (before glibc
    2.34 that is libpthread).
    """

    name: str | None
    version: str | None
    symbols: Symbols | None
    thread_symbols: Symbols | None
    provider: str | None = None


def find_allocator(memory: Memory, modules: Sequence[Module]) -> Allocator:
    """Who serves malloc in the process whose memory and modules these are.

    ProcessLookupError if it has ended; whatever else cannot be read is not known.
    """
    order = _linked(memory, modules)
    libc = next((module for module in order or modules if _is_libc(module)), None)
    symbols = open_symbols(memory, libc) if libc else None
    threads = _thread_symbols(memory, modules, symbols)
    serving = _serving(memory, order, modules, libc)
    if serving is None:
        return Allocator(None, None, symbols, threads)
    provider, own = serving
    if provider is not libc:
        name = next((n for n, marks in _MARKS.items() if any(has(own, m) for m in marks)), None)
        known = MALLOC.match(provider.name)
        return Allocator(
            name or (known[1] if known else None), None, symbols, threads, provider.name
        )
    # musl's may be called libc.so, too.
    if has(own, "gnu_get_libc_version"):
        version = _glibc_version(memory, own, provider)
        return Allocator("glibc", version, symbols, threads, provider.name)
    return Allocator("musl", None, symbols, threads, provider.name)


def _serving(
    memory: Memory, order: Sequence[Module], modules: Sequence[Module], libc: Module | None
) -> tuple[Module, Symbols] | None:
    """The file that serves malloc, and its symbols."""
    if order:
        candidates = list(order)
    else:
        # The names have to do: a library that is called like an allocator, else the C library.
        candidates = [module for module in modules if MALLOC.match(module.name)]
        candidates += [libc] if libc else []
    for module in candidates:
        symbols = open_symbols(memory, module)
        if symbols is not None and has(symbols, "malloc") and has(symbols, "free"):
            return module, symbols
    return None


def _linked(memory: Memory, modules: Sequence[Module]) -> list[Module]:
    """The modules as the linker asks them for a symbol, up to the C library; empty if not known."""
    found: list[Module] = []
    start = 0
    for module in modules:  # the program is the first one, nearly always
        symbols = open_symbols(memory, module)
        if symbols is not None and symbols.linker:
            start = symbols.linker
            break
    try:
        entry = memory.words(start, 2)[1] if start else 0  # r_map
        for _ in range(MAX_LINKED):
            if not entry:
                break
            _, _, dynamic, entry = memory.words(entry, 4)  # l_addr, l_name, l_ld, l_next
            found += [module for module in modules if module.base <= dynamic < module.end]
            if found and _is_libc(found[-1]):
                break
    except ProcessLookupError:
        raise
    except OSError:
        return []  # it was changed while it was read
    return found


def _is_libc(module: Module) -> bool:
    return bool(GLIBC.match(module.name) or MUSL.match(module.name))


def _thread_symbols(
    memory: Memory, modules: Sequence[Module], libc: Symbols | None
) -> Symbols | None:
    if libc is None or has(libc, "pthread_create"):
        return libc
    for module in modules:
        if module.name.startswith("libpthread"):
            symbols = open_symbols(memory, module)
            if symbols is not None and has(symbols, "pthread_create"):
                return symbols
    return None


def _glibc_version(memory: Memory, symbols: Symbols, module: Module) -> str | None:
    """What libc exports for libthread_db since 2.34; before that its file's name has it."""
    try:
        found = symbols.find("__nptl_version")
        text = memory.string(found.address, 32) if found else b""
    except ProcessLookupError:
        raise
    except OSError:
        text = b""
    if match := _VERSION.match(text):
        return match[0].decode("ascii")
    named = _NAMED.match(module.name)
    return named[1] if named else None
