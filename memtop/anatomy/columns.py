"""Objects among blocks of one size: counted in columns, because a loop in Python is too slow.

Blocks of one size are joined, so that the same word of each is a slice. A block is an object if a
type stands where the flags of that type want its pointer, the block is large enough, and the word
before can be its count of references.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import compress

from memtop.anatomy.buffers import Buffers, Counts
from memtop.anatomy.image import WORD
from memtop.anatomy.layout import References
from memtop.anatomy.types import Types

# 0 becomes 1, everything else 0; and the other way round.
_IS_ZERO = bytes([1]) + bytes(255)
_IS_SOME = bytes([0]) + bytes([1]) * 255
_LOW, _HIGH = range(4), (4, 5)
_TUPLES = (3, 5)  # at which word the pointer to the type of a tuple may stand


def count_blocks(
    types: Types, buffers: Buffers, size: int, words: array[int], counts: Counts, lead: int = 0
) -> None:
    """Add the objects among blocks of `size` bytes, which lie one after the other in `words`.

    `lead`: what debug hooks have before each object.
    """
    step = size // WORD
    data = words.tobytes()
    for after, known in types.places.items():
        place = after + lead // WORD
        if place >= step:
            break
        alive = _alive(types.references, data, WORD * (place - 1), size)
        column = words[place::step]
        found = Counter(compress(column, alive))
        if after - 2 in _TUPLES and not known.isdisjoint(found):
            # A tuple whose first item is a type looks like an object of it two words further on.
            others = types.places.get(after - 2, frozenset())
            is_other = bytes(map(others.__contains__, words[place - 2 :: step]))
            alive = _both(alive, is_other.translate(_IS_ZERO))
            found = Counter(compress(column, alive))
        for address in found.keys() & known:
            if types[address].least + lead > size:
                continue
            counts.objects[address] += found[address]
            counts.bytes[address] += found[address] * size
            if kind := types.kind(address):
                starts = compress(range(place - 1, len(words), step), alive)
                theirs = [at for at in starts if words[at + 1] == address]
                buffers.note(counts, address, kind, words, theirs)


def count_objects(
    types: Types,
    buffers: Buffers,
    words: Sequence[int],
    starts: Sequence[int],
    sizes: Sequence[int],
    counts: Counts,
) -> list[tuple[int, int]]:
    """Add the objects in blocks of all sizes, which begin at these words.

    Which of the blocks they are is returned, with the addresses of their types.
    """
    fit = types.references.fit
    objects: list[tuple[int, int]] = []
    taken: set[int] = set()
    for place, known in types.places.items():
        hits = [
            index
            for index, start in enumerate(starts)
            if words[start + place] in known
            and fit(words[start + place - 1])
            and index not in taken
        ]
        by_type: dict[int, list[int]] = {}
        for index in hits:
            start = starts[index]
            address = words[start + place]
            if types[address].least <= sizes[index]:
                counts.objects[address] += 1
                counts.bytes[address] += sizes[index]
                objects.append((index, address))
                taken.add(index)
                by_type.setdefault(address, []).append(start + place - 1)
        for address, theirs in by_type.items():
            if kind := types.kind(address):
                buffers.note(counts, address, kind, words, theirs)
    return objects


class Search:
    """For objects that have one of the wanted blocks, and nothing else."""

    def __init__(self, types: Types, buffers: Buffers, wanted: set[int]) -> None:
        self._types, self._buffers, self._wanted = types, buffers, wanted
        # Most pointers differ from all of these in one of their lowest bytes.
        self._tables = [
            bytes(byte in {one >> 8 * number & 0xFF for one in wanted} for byte in range(256))
            for number in _LOW
        ]

    def look(self, size: int, words: array[int], spots: Iterable[tuple[int, int]]) -> None:
        """Note the objects among blocks of `size` bytes.

        `spots`: at which word of a block the pointer to the type stands, and that to the buffer.
        """
        step, data = size // WORD, words.tobytes()
        for place, pointer in spots:
            likely = compress(range(len(words) // step), self._likely(data, WORD * pointer, size))
            for index in likely:
                start = index * step + place - 1
                if words[index * step + pointer] not in self._wanted:
                    continue
                address = words[start + 1]
                kind = self._types.kind(address)
                if kind and self._types.references.fit(words[start]):
                    self._buffers.note(Counts(), address, kind, words, [start])

    def _likely(self, data: bytes, at: int, size: int) -> bytes:
        """A byte for each block: 1 if the word at this offset may be one of the pointers."""
        count = len(data) // size
        found = (1 << 8 * count) - 1
        for number, table in enumerate(self._tables):
            column = data[at + number :: size].translate(table)
            found &= int.from_bytes(column, "little")
        return found.to_bytes(count, "little")


def _alive(references: References, data: bytes, at: int, size: int) -> bytes:
    """A byte for each block: 1 if the word at this offset counts references.

    A column of bytes is one number, so that they are combined at once.
    """
    count = len(data) // size
    low = high = 0
    for byte in _LOW:
        low |= int.from_bytes(data[at + byte :: size], "little")
    for byte in _HIGH:
        high |= int.from_bytes(data[at + byte :: size], "little")
    alive = low.to_bytes(count, "little").translate(_IS_SOME)
    alive = _both(alive, high.to_bytes(count, "little").translate(_IS_ZERO))
    for byte, table in references.tables.items():
        alive = _both(alive, data[at + byte :: size].translate(table))
    return alive


def _both(first: bytes, second: bytes) -> bytes:
    found = int.from_bytes(first, "little") & int.from_bytes(second, "little")
    return found.to_bytes(len(first), "little")
