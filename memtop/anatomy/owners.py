"""Large blocks of malloc, and whose they are: an object that lies in one, or that points to one.

A block has the pointer that malloc gave, which is what its owner holds; so no block is looked into
to find out what it may be. Sizes are bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from memtop.anatomy.objects import Owner

NATIVE = "native or unknown"
HEADER = 16  # what malloc has before the memory that it gives


class Large:
    """The blocks from some size on. `wanted`: the pointers of those that have no owner yet."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}
        self._big: dict[int, int] = {}
        self._owned: dict[int, tuple[int, str | None, bool]] = {}
        # With debug hooks Python does not have the pointer that malloc gave.
        self._given: dict[int, int] = {}
        self.wanted: set[int] = set()

    def add(self, pointer: int, size: int, asked: int) -> None:
        """A block of an arena by the pointer it gave; `asked`: what its owner may have instead."""
        self._sizes[pointer] = size
        self._want(pointer, asked)

    def add_big(self, pointer: int, resident: int, asked: int) -> None:
        """The same of a block that malloc has mapped by itself, of which so much is resident."""
        self._big[pointer] = resident
        self._want(pointer, asked)

    def _want(self, pointer: int, asked: int) -> None:
        self.wanted.add(pointer)
        if asked != pointer:
            self._given[asked] = pointer
            self.wanted.add(asked)

    def own(
        self, pointer: int, address: int, detail: str | None = None, *, is_inside: bool = False
    ) -> None:
        """An object of the type at this address has the block, or lies in it itself.

        One that came after the blocks were listed has an owner, and is left out all the same.
        """
        self.wanted.discard(pointer)
        pointer = self._given.get(pointer, pointer)
        self.wanted.discard(pointer)
        if pointer in self._sizes or pointer in self._big:
            self._owned[pointer] = address, detail, is_inside

    def owned(self) -> Iterable[tuple[int, int, bool, bool]]:
        """Of each block that has an owner: the address of that one's type, the size of the block,
        whether it is a big one, and whether the owner lies in it.
        """
        for pointer, (address, _, is_inside) in self._owned.items():
            is_big = pointer in self._big
            yield address, (self._big if is_big else self._sizes)[pointer], is_big, is_inside

    def unowned(self) -> tuple[int, int]:
        """How many blocks have no owner, and how large these are together."""
        sizes = [
            size
            for sizes in (self._sizes, self._big)
            for pointer, size in sizes.items()
            if pointer not in self._owned
        ]
        return len(sizes), sum(sizes)

    def rows(self, names: dict[int, str]) -> tuple[Owner, ...]:
        """The big blocks by whose they are, the most bytes first."""
        counts: Counter[tuple[str, str | None]] = Counter()
        sizes: Counter[tuple[str, str | None]] = Counter()
        for pointer, resident in self._big.items():
            address, detail, _ = self._owned.get(pointer, (0, None, False))
            key = names.get(address, NATIVE), detail
            counts[key] += 1
            sizes[key] += resident
        found = [Owner(*key, counts[key], sizes[key]) for key in counts]
        return tuple(sorted(found, key=lambda one: (-one.bytes, one.type, one.detail or "")))

    @property
    def big_bytes(self) -> int:
        """What of all big blocks is resident."""
        return sum(self._big.values())
