"""Memory that Python's objects own beside themselves: list items, tables of dicts, arrays.

Where an object says how much it has, that is added up; where that stands elsewhere (the table of a
dict, the shape of an array), some of all are asked. A buffer that is large is believed only if a
block of malloc begins where it is said to: objects that are freed or change while they are read
say anything. Sizes are bytes; `places` are the indices of objects among words that were read.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence

from memtop.anatomy.layout import measure_keys
from memtop.anatomy.owners import Large
from memtop.anatomy.spans import Range
from memtop.anatomy.types import Types
from memtop.target.memory import Memory

LARGE = 64 << 10  # from this size of a block on, its owner is looked for
SMALL = 512  # what is larger is malloc's
_MOST_ASKED = 20_000  # tables or arrays of one type
_MOST_DIMENSIONS = 64
_OWNS_DATA = 4  # numpy/ndarraytypes.h: NPY_ARRAY_OWNDATA
_LETTERS = {"b": "bool", "i": "int", "u": "uint", "f": "float", "c": "complex"}
# At which word of an object the pointer to its buffer stands.
POINTERS = {
    "array.array": 3,
    "bytearray": 4,
    "dict": 4,
    "list": 3,
    "numpy.ndarray": 2,
    "set": 5,
}
# What is asked later: of a dict its table, of an array (dimensions, their number, dtype).
_Question = tuple[int, int, int]
# The pointer to its buffer, and that buffer's size, of one object.
_Pair = tuple[int, int]


class Counts:
    """What was counted: objects, and bytes of their blocks and buffers, by address of the type.

    `asked`: how many have a buffer whose size is not known yet. `in_malloc`: how much of the
    buffers is larger than what Python's own allocator serves.
    """

    __slots__ = ("asked", "buffers", "bytes", "in_malloc", "objects")

    def __init__(self) -> None:
        self.objects: Counter[int] = Counter()
        self.bytes: Counter[int] = Counter()
        self.buffers: Counter[int] = Counter()
        self.in_malloc: Counter[int] = Counter()
        self.asked: Counter[int] = Counter()

    def add(self, other: Counts) -> None:
        """What others counted."""
        for name in self.__slots__:
            getattr(self, name).update(getattr(other, name))


class Some:
    """Evenly spread ones of many things, of which nobody knows how many will come."""

    def __init__(self) -> None:
        self.kept: list[_Question] = []
        self._stride, self._phase = 1, 0

    def add(self, items: Sequence[_Question]) -> None:
        """Keep some of these."""
        self.kept += items[self._phase :: self._stride]
        self._phase = (self._phase - len(items)) % self._stride
        while len(self.kept) > _MOST_ASKED:
            self.kept = self.kept[::2]
            self._stride *= 2


class Buffers:
    """The buffers of all objects that are noted.

    `large`: the blocks whose owners are looked for. `spans`: memory that buffers may be in,
    `is_sure` if large ones have to be among those blocks. `has_pools`: small ones are not malloc's.
    """

    def __init__(
        self,
        types: Types,
        memory: Memory,
        large: Large,
        spans: Sequence[Range],
        is_sure: bool,
        *,
        has_pools: bool = True,
    ) -> None:
        self._large, self._small = large, SMALL if has_pools else 0
        self._types, self._memory = types, memory
        self._spans, self._starts, self._is_sure = spans, [start for start, _ in spans], is_sure
        self._some: dict[int, Some] = {}
        self._descriptions: dict[int, tuple[int, str | None]] = {}
        self._widths: dict[int, int] = {}
        self._notes: dict[str, Callable[[Sequence[int], Sequence[int]], list[_Pair]]] = {
            "list": _of_lists,
            "bytearray": _of_bytearrays,
            "set": _of_sets,
            "collections.deque": _of_deques,
            "array.array": self._of_arrays,
        }

    def note(
        self, counts: Counts, address: int, kind: str, words: Sequence[int], places: Sequence[int]
    ) -> None:
        """Add what these objects of a type own."""
        if kind == "dict":
            self._note_dicts(counts, address, words, places)
        elif kind == "numpy.ndarray":
            self._note_arrays(counts, address, words, places)
        else:
            self._note_sized(counts, address, self._notes[kind](words, places))

    def sizes(self, address: int) -> tuple[float, float]:
        """What a buffer of this type that had to be asked for has, and of that in malloc's memory;
        the average. ProcessLookupError if the process has ended.
        """
        some = self._some.get(address)
        if some is None or not some.kept:
            return 0.0, 0.0
        measure = self._table if self._types.kind(address) == "dict" else self._array
        sizes = []
        for one in some.kept:
            try:
                size = measure(*one)
            except ProcessLookupError:
                raise
            except (OSError, struct.error):
                size = 0
            # Large ones have been found by their blocks.
            sizes.append(size if size < LARGE or not self._is_sure else 0)
        large = sum(size for size in sizes if size > self._small)
        return sum(sizes) / len(sizes), large / len(sizes)

    def _note_sized(self, counts: Counts, address: int, pairs: Sequence[_Pair]) -> None:
        wanted, total, large = self._large.wanted, 0, 0
        for pointer, size in pairs:
            if pointer in wanted:
                self._large.own(pointer, address)
            elif size < LARGE or (not self._is_sure and self._has(pointer, size)):
                taken = size + 23 & -16 if size > self._small else size + 15 & -16
                total += taken
                if size > self._small:
                    large += taken
        counts.buffers[address] += total
        counts.in_malloc[address] += large

    def _note_dicts(
        self, counts: Counts, address: int, words: Sequence[int], places: Sequence[int]
    ) -> None:
        # Of a table that instances share each has the values alone; since 3.13 those are within
        # the instance (Include/internal/pycore_dict.h).
        tables = [(words[place + 4], words[place + 5], 0) for place in places]
        if self._types.layout.version >= (3, 13):
            tables = [table for table in tables if not table[1]]
        wanted = self._large.wanted
        if not wanted.isdisjoint([table[0] for table in tables]):
            found = {table[0] for table in tables if table[0] in wanted and not table[1]}
            tables = [table for table in tables if table[0] not in wanted]
            for pointer in found:
                self._large.own(pointer, address)
        self._ask(counts, address, tables)

    def _note_arrays(
        self, counts: Counts, address: int, words: Sequence[int], places: Sequence[int]
    ) -> None:
        asked = []
        for place in places:
            if words[place + 8] & _OWNS_DATA and (data := words[place + 2]):
                shape = words[place + 4], words[place + 3] & 0xFFFFFFFF, words[place + 7]
                if data in self._large.wanted:
                    self._large.own(data, address, self._described(*shape))
                else:
                    asked.append(shape)
        self._ask(counts, address, asked)

    def _ask(self, counts: Counts, address: int, questions: Sequence[_Question]) -> None:
        counts.asked[address] += len(questions)
        if address not in self._some:
            self._some[address] = Some()
        self._some[address].add(questions)

    def _table(self, keys: int, values: int, _: int) -> int:
        """What the table of a dict takes; one that is a variable of the interpreter is nobody's."""
        if not self._has(keys, 40):
            return 0
        offset, entry, count = measure_keys(self._memory.read(keys, 40), self._types.layout)
        if values:
            return 8 * count if offset else 0
        return offset + entry * count

    def _array(self, dimensions: int, count: int, dtype: int) -> int:
        size, _ = self._description(dtype)
        for length in self._shape(dimensions, count):
            size *= length
        return size if 0 <= size < 1 << 47 else 0

    def _described(self, dimensions: int, count: int, dtype: int) -> str | None:
        """`float32 (480, 640, 3)`; None if it cannot be read."""
        try:
            _, name = self._description(dtype)
            shape = self._shape(dimensions, count)
        except ProcessLookupError:
            raise
        except (OSError, struct.error):
            return None
        return f"{name} {shape}" if name else None

    def _shape(self, dimensions: int, count: int) -> tuple[int, ...]:
        if not 0 < count <= _MOST_DIMENSIONS:
            return ()
        return struct.unpack(f"={count}q", self._memory.read(dimensions, 8 * count))

    def _description(self, dtype: int) -> tuple[int, str | None]:
        """The size of one item of a dtype, and its name.

        numpy/ndarraytypes.h: PyArray_Descr; in numpy 1 the size is an int at 32 and the alignment
        behind it, in numpy 2 there are flags of 64 bits, and the size is at 40.
        """
        if dtype not in self._descriptions:
            raw = self._memory.read(dtype, 48)
            letter = chr(raw[24])
            size, alignment = struct.unpack_from("=2i", raw, 32)
            if alignment not in (1, 2, 4, 8, 16, 32):
                (size,) = struct.unpack_from("=q", raw, 40)
            size = size if 0 <= size < 1 << 31 else 0
            name = _LETTERS.get(letter)
            if name and name != "bool":
                name += str(8 * size)
            others = {"O": "object", "S": f"S{size}", "U": f"U{size // 4}", "V": f"V{size}"}
            others |= {"M": "datetime64", "m": "timedelta64"}
            self._descriptions[dtype] = size, name or others.get(letter)
        return self._descriptions[dtype]

    def _of_arrays(self, words: Sequence[int], places: Sequence[int]) -> list[_Pair]:
        """Modules/arraymodule.c: arrayobject, ob_item, allocated, ob_descr."""
        return [
            (words[place + 3], words[place + 4] * self._width(words[place + 5]))
            for place in places
            if words[place + 3]
        ]

    def _width(self, description: int) -> int:
        """The size of one item of an array.array: struct arraydescr."""
        if description not in self._widths:
            try:
                (width,) = struct.unpack("=i", self._memory.read(description + 4, 4))
            except ProcessLookupError:
                raise
            except OSError:
                width = 0
            self._widths[description] = width if 0 < width <= 16 else 0
        return self._widths[description]

    def _has(self, pointer: int, size: int) -> bool:
        """Whether so much can be there."""
        place = bisect_right(self._starts, pointer) - 1
        return place >= 0 and pointer + size <= self._spans[place][1]


def _of_lists(words: Sequence[int], places: Sequence[int]) -> list[_Pair]:
    """Include/cpython/listobject.h: ob_item, allocated."""
    return [(words[place + 3], words[place + 4] << 3) for place in places if words[place + 3]]


def _of_bytearrays(words: Sequence[int], places: Sequence[int]) -> list[_Pair]:
    """Include/cpython/bytearrayobject.h: ob_alloc, ob_bytes."""
    return [(words[place + 4], words[place + 3]) for place in places if words[place + 4]]


def _of_sets(words: Sequence[int], places: Sequence[int]) -> list[_Pair]:
    """Include/cpython/setobject.h: mask, table; the smallest is part of the set."""
    return [
        (words[place + 5], (words[place + 4] + 1) << 4) for place in places if words[place + 4] > 7
    ]


def _of_deques(words: Sequence[int], places: Sequence[int]) -> list[_Pair]:
    """Modules/_collectionsmodule.c: blocks of 64 items and two links, size, leftindex."""
    return [
        (words[place + 3], max(1, (words[place + 5] + words[place + 2] + 63) // 64) * 528)
        for place in places
        if words[place + 5] < 64 and words[place + 3]
    ]
