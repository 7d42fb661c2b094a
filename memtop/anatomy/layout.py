"""How CPython lays its objects out in memory, by version: offsets within a block, in bytes.

A block is what the allocator gave. Before an object stand the collector's two words, if its type
takes part in that, and from 3.11 on sometimes two more; so where the pointer to its type stands
follows from the flags of that type (Include/object.h, Include/internal/pycore_object.h:
_PyType_PreHeaderSize, Include/internal/pycore_gc.h). With debug hooks on (PYTHONMALLOC=debug)
everything stands 16 bytes later, in blocks of malloc twice that (Objects/obmalloc.c:
_PyMem_DebugRawAlloc). 64 bits only.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

OLDEST, NEWEST = (3, 6), (3, 14)
HOOK = 16
_MOST_HOOKS = 2  # those of objects, and below them those of malloc
# What the hooks write behind the size of a block: whose it is, and the forbidden byte, which is
# another one since 3.8.
_MARKS = frozenset(
    int.from_bytes(bytes([ord(letter)]) + forbidden * 7, "little")
    for letter in "rmo"
    for forbidden in (b"\xfb", b"\xfd")
)
_DEAD = frozenset(int.from_bytes(bytes([byte]) * 8, "little") for byte in (0xDB, 0xDD))

# tp_flags (Include/object.h).
READY, HEAP, GC = 1 << 12, 1 << 9, 1 << 14
LIST, TUPLE, BYTES, STR, DICT, TYPE = (1 << bit for bit in (25, 26, 27, 28, 29, 31))
_MANAGED_DICT, _MANAGED_WEAKREF = 1 << 4, 1 << 3


class Layout(NamedTuple):
    """One version. `before_flags`: types with one of these have two words more before each object.

    `text`: where the characters of a compact ASCII str begin. `has_log_keys`: the table of a dict
    says its sizes as powers of two.
    """

    version: tuple[int, int]
    pool: int
    gc: int
    before_flags: int
    text: int
    has_log_keys: bool

    def head(self, flags: int) -> int:
        """How far inside its block an object of a type with these flags begins."""
        before = 16 if flags & self.before_flags else 0
        return (self.gc if flags & GC else 0) + before


class References:
    """Which words can count the references to an object, in a process of so much memory.

    Free blocks have a pointer or zero there (Objects/obmalloc.c), dead objects zero; and what other
    things have there, as texts of a few characters, is more than there is room for: a reference
    takes a word. Since 3.14 the upper part has flags, too, but bits 32 to 47 are zero in all
    versions; since 3.12 immortal objects have bit 31 (Include/refcount.h, PEP 683). `tables` are
    what a byte of the word may be.
    """

    def __init__(self, version: tuple[int, int], memory_bytes: int = 0) -> None:
        """`memory_bytes`: all that is in memory or in swap; 0 if that is not known."""
        most = memory_bytes // 8 or 1 << 32
        self.tables: dict[int, bytes] = {}
        if most < 1 << 31:
            first = 0x80 if version >= (3, 12) else 0x100
            self.tables[3] = bytes(byte <= most >> 24 or byte >= first for byte in range(256))
        if most < 1 << 24 and version < (3, 12):
            self.tables[2] = bytes(byte <= most >> 16 for byte in range(256))

    def fit(self, word: int) -> bool:
        """Whether this is the count of an object that is in use."""
        if not word & 0xFFFFFFFF or word & 0xFFFF_0000_0000:
            return False
        return all(table[word >> 8 * byte & 0xFF] for byte, table in self.tables.items())


def layout_of(version: tuple[int, int]) -> Layout | None:
    """The layout of a version with a GIL; None if it is not known."""
    if not OLDEST <= version <= NEWEST:
        return None
    before = 0
    if version >= (3, 11):
        before = _MANAGED_DICT
    if version >= (3, 12):
        before |= _MANAGED_WEAKREF
    return Layout(
        version=version,
        pool=4 << 10 if version < (3, 10) else 16 << 10,
        gc=32 if version < (3, 8) else 16,
        before_flags=before,
        text=48 if version < (3, 12) else 40,
        has_log_keys=version >= (3, 11),
    )


def measure_keys(raw: bytes, layout: Layout) -> tuple[int, int, int]:
    """Of the table of a dict, whose first 40 bytes these are: where entries begin, how large one
    is, and how many there is room for; zeros if it is none.

    Objects/dict-common.h up to 3.10, then Include/internal/pycore_dict.h: struct _dictkeysobject.
    """
    if layout.has_log_keys:
        log, log_index, kind = raw[8], raw[9], raw[10]
        if log > 40 or not log <= log_index <= log + 3 or kind > 2:
            return 0, 0, 0
        return 32 + (1 << log_index), 16 if kind else 24, (2 << log) // 3
    (size,) = struct.unpack_from("=Q", raw, 8)
    if not 0 < size <= 1 << 40 or size & size - 1:
        return 0, 0, 0
    index = 1 if size <= 0xFF else 2 if size <= 0xFFFF else 4 if size <= 0xFFFFFFFF else 8
    return 40 + size * index, 24, 2 * size // 3


def is_hooked(seconds: Sequence[int]) -> bool:
    """Whether the second words of blocks, if these are not free, are mostly those of the hooks."""
    marked = sum(word in _MARKS for word in seconds)
    return marked * 2 > len(seconds) - sum(word in _DEAD for word in seconds)


def unhooked(words: Sequence[int], start: int) -> int:
    """At which word the memory begins that was asked for, if that of a block does at `start`."""
    for _ in range(_MOST_HOOKS):
        if start + 1 >= len(words) or words[start + 1] not in _MARKS:
            break
        start += HOOK // 8
    return start
