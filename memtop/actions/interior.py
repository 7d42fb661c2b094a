"""What an action finds inside a process: its C library, its allocator, its Python.

Only memory is read (`target`), so that neither deleted files nor other mount namespaces matter.
What speaks against the action is a Refusal; not_applicable if it would do nothing there.
"""

from __future__ import annotations

from typing import NamedTuple

from memtop.actions.result import ActionId, Refusal
from memtop.target.allocator import Allocator, find_allocator
from memtop.target.maps import Module, modules, read_maps
from memtop.target.memory import Memory
from memtop.target.python import Python, find_python, has, has_tkinter, open_symbols
from memtop.target.symbols import MACHINE_X86_64, Symbols

OLDEST = (3, 6)
# What malloc_trim means to those that serve malloc in glibc's stead: it empties glibc's own heap,
# which nobody uses, and returns 0.
_OTHERS = {
    "musl": "musl has no malloc_trim: it gives freed pages back by itself",
    "jemalloc": (
        "jemalloc serves its malloc, and malloc_trim does nothing there: jemalloc gives pages back"
        " after dirty_decay_ms and muzzy_decay_ms (MALLOC_CONF), at once by arena.4096.purge"
    ),
    "tcmalloc": (
        "tcmalloc serves its malloc, and malloc_trim does nothing there: tcmalloc gives pages back"
        " at TCMALLOC_RELEASE_RATE, at once by MallocExtension::ReleaseFreeMemory"
    ),
    "mimalloc": (
        "mimalloc serves its malloc, and malloc_trim does nothing there: mimalloc gives pages back"
        " after MIMALLOC_PURGE_DELAY"
    ),
}


class Interior(NamedTuple):
    """The words that name what was found: `glibc 2.36`, `3.11.7`; None if there is none.

    `has_heads`: its garbage collector links objects by heads, as all but free-threaded ones do.
    """

    allocator: str | None
    python: str | None
    has_heads: bool
    refusal: Refusal | None = None


def look_inside(action: ActionId, pid: int, root: str) -> Interior:
    """What is inside of process `pid`; OSError if it has ended, or may not be read."""
    with Memory(pid, root=root) as memory:
        loaded = modules(read_maps(pid, root))
        allocator = find_allocator(memory, loaded)
        python = find_python(memory, loaded)
        refusal = (
            _object_to_build(memory, loaded)
            or _object_to_library(allocator)
            or (
                _object_to_allocator(allocator)
                if action == "trim"
                else _object_to_python(python, loaded, action)
            )
        )
    name = allocator.name or allocator.provider
    return Interior(
        " ".join(filter(None, (name, allocator.version))) or None,
        python.text or "of an unknown version" if python else None,
        has_heads=not (python and python.is_free_threaded),
        refusal=refusal,
    )


def _object_to_build(memory: Memory, loaded: tuple[Module, ...]) -> Refusal | None:
    """The program is the first of its modules, nearly always; all are of one machine."""
    program: Symbols | None = None
    for module in loaded:
        program = open_symbols(memory, module)
        if program is not None:
            break
    if program is None:
        return Refusal("no program was found in its memory")
    if not program.is_64:
        return Refusal("it is a program of 32 bits; memtop can act in those of 64 bits only")
    if program.machine != MACHINE_X86_64:
        return Refusal("it is a program of another machine; memtop can act on x86_64 only")
    return None


def _object_to_library(allocator: Allocator) -> Refusal | None:
    if allocator.symbols is None:
        return Refusal(
            "it has no C library of its own: it is linked statically, and nothing in it can be"
            " called by name"
        )
    if not has(allocator.symbols, "mmap") or allocator.thread_symbols is None:
        return Refusal("its C library has no mmap or no pthread_create: no thread can be started")
    return None


def _object_to_allocator(allocator: Allocator) -> Refusal | None:
    if allocator.name == "glibc":
        assert allocator.symbols is not None
        if has(allocator.symbols, "malloc_trim"):
            return None
        return Refusal("its C library has no malloc_trim", verdict="not_applicable")
    reason = _OTHERS.get(
        allocator.name or "",
        f"{allocator.provider or 'nobody that is known'} serves its malloc, not glibc:"
        " malloc_trim would do nothing",
    )
    return Refusal(reason, verdict="not_applicable")


def _object_to_python(
    python: Python | None, loaded: tuple[Module, ...], action: ActionId
) -> Refusal | None:
    if python is None:
        what = "collect" if action == "gc" else "count"
        return Refusal(f"it runs no CPython: there is nothing to {what}", verdict="not_applicable")
    if python.version is not None and python.version < OLDEST:
        reason = f"it runs Python {python.text}; memtop knows 3.6 and later"
        return Refusal(reason, verdict="not_applicable")
    if action == "snapshot" and python.is_free_threaded:
        # Objects that are made elsewhere must have one owner until they are ready.
        return Refusal(
            "its Python has no GIL, so its other threads cannot be kept waiting while all"
            " objects are looked at"
        )
    if has_tkinter(loaded):
        return Refusal(
            "it has loaded Tcl (tkinter), whose objects only their own thread may free:"
            " Python that is run in another thread may abort it"
        )
    return None
