"""Where the stack of a thread ends, so that nothing but free stack is written below its pointer.

Only two kinds are known to be stacks down to their end: the main thread's, which the kernel names,
and those that the C library made, whose thread descriptor lies in the same mapping above (the FS
register points at it). Coroutines, signal handlers on a stack of their own and the like wait on
other memory: what lies below that is not known, so they are left alone.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from memtop.actions.remote.frame import is_of_handler
from memtop.actions.remote.job import PAGE
from memtop.target.maps import Mapping
from memtop.target.memory import Memory

MOST_SCANNED = 1 << 20  # bytes of a stack above its pointer; Python takes some 20 KiB
_DESCRIPTOR_WORDS = 0x900 // 8  # struct pthread of glibc 2.26 to 2.43
_MOST_GUARD = 64 << 10  # below the stack, as part of its block
_MOST_ABOVE = 64 << 10  # static thread-local storage and the descriptor, between FS and the end


class Stack(NamedTuple):
    """A private writable mapping. `is_main`: the kernel calls it [stack], and it grows downwards.
    `guarded`: what may not be touched lies right below, as the C library makes it."""

    start: int
    end: int
    is_main: bool
    guarded: bool


def find_stacks(maps: Sequence[Mapping]) -> tuple[Stack, ...]:
    """All mappings that might be stacks, in the order of addresses."""
    return tuple(
        Stack(
            mapping.start,
            mapping.end,
            mapping.path == "[stack]",
            before is not None and before.end == mapping.start and before.perms == "---p",
        )
        for before, mapping in pairwise(_with_first(maps))
        if mapping is not None and mapping.perms == "rw-p"
    )


def _with_first(maps: Iterable[Mapping]) -> Iterable[Mapping | None]:
    yield None
    yield from maps


def room_below(
    memory: Memory, stacks: Sequence[Stack], stack_pointer: int, descriptor: int
) -> int | None:
    """Bytes of free stack below a stack pointer; None if it is not known to point into a stack.

    `descriptor` is the FS register of the thread. OSError of a memory that is gone.
    """
    stack = _at(stacks, stack_pointer)
    if stack is None:
        return None
    if stack.is_main:
        return stack_pointer  # the kernel maps more of it when it is touched (mm/mmap.c)
    if not stack_pointer < descriptor < stack.end:
        return None
    low = stack.start if stack.guarded else _block_of(memory, stack, stack_pointer, descriptor)
    return None if low is None else stack_pointer - low


def has_handler(memory: Memory, stacks: Sequence[Stack], stack_pointer: int, gadget: int) -> bool:
    """Whether the thread is within a signal handler, which may have interrupted anything: malloc.

    The kernel has put a frame on its stack then, whose return address is the C library's gadget.
    Old frames in unused parts of the stack count as well, and so does a pointer into no stack.
    OSError of a memory that is gone.
    """
    stack = _at(stacks, stack_pointer)
    if stack is None:
        return True
    raw = memory.read(stack_pointer, min(stack.end - stack_pointer, MOST_SCANNED))
    wanted, at = gadget.to_bytes(8, "little"), -1
    while (at := raw.find(wanted, at + 1)) >= 0:
        if is_of_handler(raw, at):
            return True
    return False


def _at(stacks: Sequence[Stack], address: int) -> Stack | None:
    place = bisect_right(stacks, address, key=lambda stack: stack.start) - 1
    return stacks[place] if place >= 0 and address < stacks[place].end else None


def _block_of(memory: Memory, stack: Stack, stack_pointer: int, descriptor: int) -> int | None:
    """The low end of a stack whose guard cannot be seen (glibc 2.42: MADV_GUARD_INSTALL).

    The descriptor has its address and size (stackblock, stackblock_size), at a place that differs
    between versions: two whole numbers of pages that enclose the stack pointer and the descriptor,
    and end with it.
    """
    count = min(_DESCRIPTOR_WORDS, (stack.end - descriptor) // 8)
    words: tuple[int, ...] = struct.unpack(f"<{count}Q", memory.read(descriptor, count * 8))
    for block, size in pairwise(words):
        if block % PAGE or size % PAGE or not block < stack_pointer:
            continue
        if 0 < block + size - descriptor <= _MOST_ABOVE:
            return block + _MOST_GUARD
    return None
