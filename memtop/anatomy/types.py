"""The types of a Python process: found by what they are made of, without a symbol but one.

Each type is an object whose type is `type`, or another type of types. Those in C are variables of
the program and its libraries, and are looked for there; classes are objects in blocks of malloc,
because a type is larger than what Python's own allocator serves. What was found is checked: it is
ready, has a size and a name that can be read. Addresses and sizes are bytes.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from typing import NamedTuple

from memtop.anatomy import layout as made
from memtop.anatomy.image import WINDOW, WORD, Image
from memtop.anatomy.layout import Layout, References
from memtop.anatomy.regions import bss_spans
from memtop.anatomy.spans import Range
from memtop.anatomy.subject import Subject
from memtop.target.memory import Memory
from memtop.target.pages import PAGE, read_pages
from memtop.target.python import Python

# Include/cpython/object.h: struct _typeobject, the same from 3.6 to 3.14.
_NAME, _BASIC, _ITEM, _FLAGS, _BASE, _DICT = 24, 32, 40, 168, 256, 264
_STRUCT = struct.Struct("=34Q")
_MOST_BASIC, _MOST_ITEM, _MOST_NAME = 1 << 20, 1 << 16, 256
_MOST_TYPES = 1 << 17
_MOST_BASES = 64
_HIGHEST = 1 << 47
_MOST_ENTRIES = 64  # of a class that are looked through for its module
_ASCII = 0x60  # of the state of a str: compact and ASCII
_ZERO = bytes([1]) + bytes(255)
# The second byte of the flags of a class.
_CLASS = bytes(
    byte & (made.READY | made.HEAP) >> 8 == (made.READY | made.HEAP) >> 8 for byte in range(256)
)
# Types of C whose objects own a buffer, by their names.
_KINDS = frozenset(
    ("bytearray", "set", "frozenset", "collections.deque", "array.array", "numpy.ndarray")
)


class Type(NamedTuple):
    """One type. `name` is tp_name, of a class without its module; `dict` is where its dict is.

    `head`: how far inside its block an object begins. `least`: the bytes that a block must have.
    """

    address: int
    name: str
    base: int
    basic_bytes: int
    item_bytes: int
    flags: int
    dict: int
    head: int
    least: int

    @property
    def is_heap(self) -> bool:
        """Whether it was made at run time, as classes are."""
        return bool(self.flags & made.HEAP)


class Types:
    """All types by address; `places`: those whose pointer stands at this word of a block."""

    def __init__(
        self,
        memory: Memory,
        layout: Layout,
        found: Iterable[Type],
        references: References | None = None,
    ) -> None:
        self.layout = layout
        self.references = references or References(layout.version)
        self.by_address = {one.address: one for one in found}
        places: dict[int, set[int]] = {}
        for one in self.by_address.values():
            places.setdefault((one.head + WORD) // WORD, set()).add(one.address)
        self.places = {place: frozenset(places[place]) for place in sorted(places)}
        self._memory = memory
        self._kinds: dict[int, str | None] = {}
        self._module_key = 0

    def __getitem__(self, address: int) -> Type:
        return self.by_address[address]

    def __contains__(self, address: int) -> bool:
        return address in self.by_address

    def __len__(self) -> int:
        return len(self.by_address)

    def kind(self, address: int) -> str | None:
        """`list`, `dict`, `numpy.ndarray`, …: which buffers its objects own; None if none."""
        if address not in self._kinds:
            self._kinds[address] = self._find_kind(address)
        return self._kinds[address]

    def _find_kind(self, address: int) -> str | None:
        at = address
        for _ in range(_MOST_BASES):
            one = self.by_address.get(at)
            if one is None:
                return None
            if one.flags & made.LIST:
                return "list"
            if one.flags & made.DICT:
                return "dict"
            if one.name in _KINDS and (not one.is_heap or "." in one.name):
                return "set" if one.name == "frozenset" else one.name
            at = one.base
        return None

    def described(self, address: int, *, look_up: bool = True) -> tuple[str, str | None]:
        """The name of a type, and its module; None if that is not known.

        Reads some words of its dict. ProcessLookupError if the process has ended.
        """
        one = self.by_address[address]
        module, _, name = one.name.rpartition(".")
        if module:
            return name, module
        if not one.is_heap:
            return name, "builtins"
        return name, self._module(one) if look_up else None

    def _module(self, one: Type) -> str | None:
        """`__module__` of a class: of its own dict, in the first entries."""
        try:
            for key, value in self._entries(one.dict):
                is_it = key == self._module_key
                if not is_it and not self._module_key and self._text(key) == "__module__":
                    self._module_key, is_it = key, True
                if is_it:
                    return self._text(value)
        except ProcessLookupError:
            raise
        except (OSError, struct.error):
            pass
        return None

    def _entries(self, address: int) -> Iterator[tuple[int, int]]:
        """Keys and values of a dict, in the order in which they were put in."""
        if not address:
            return
        read = self._memory.read
        (keys,) = struct.unpack("=Q", read(address + 32, 8))
        offset, entry, count = made.measure_keys(read(keys, 40), self.layout)
        if not offset:
            return
        skip = entry - 16  # the hash, where there is one
        raw = read(keys + offset, min(count, _MOST_ENTRIES) * entry)
        for at in range(0, len(raw), entry):
            yield struct.unpack_from("=2Q", raw, at + skip)

    def _text(self, address: int) -> str | None:
        """A compact ASCII str."""
        if not address:
            return None
        raw = self._memory.read(address, 40)
        (length,) = struct.unpack_from("=Q", raw, 16)
        if raw[32] & _ASCII != _ASCII or length > _MOST_NAME:
            return None
        return _name(self._memory.read(address + self.layout.text, length))


def find_types(
    subject: Subject,
    python: Python,
    layout: Layout,
    candidates: Candidates,
    references: References | None = None,
) -> Types | None:
    """All types of a process, None if not even `type` is found.

    `candidates`: blocks that may be classes. ProcessLookupError if the process has ended.
    """
    symbol = python.symbols.find("PyType_Type")
    if symbol is None:
        return None
    reader = _Reader(subject.memory, layout)
    root = reader.read(symbol.address)
    if root is None or not root.flags & made.TYPE:
        return None
    reader.found[root.address] = root
    data = _Data(subject)
    metas, todo = {root.address}, [root.address]
    while todo:
        meta = todo.pop()
        for address in (*data.places(meta), *candidates.of(meta)):
            one = reader.read(address) if address not in reader.found else None
            if one is None or len(reader.found) >= _MOST_TYPES:
                continue
            reader.found[address] = one
            if one.flags & made.TYPE and address not in metas:
                metas.add(address)
                todo.append(address)
    return Types(subject.memory, layout, reader.found.values(), references)


class Candidates:
    """Objects that may be types: large enough, and with a pointer where that to their type is.

    They are gathered while the blocks of malloc are walked through.
    """

    def __init__(self, place: int) -> None:
        """`place`: at which word of a block that pointer stands."""
        self._place = place
        self._starts, self._metas = array("Q"), array("Q")
        self._by_meta: dict[int, list[int]] | None = None

    def add(self, words: Sequence[int], starts: Sequence[int], address: int) -> None:
        """Blocks whose memory begins at these words of a window, which begins at an address."""
        place = self._place
        back = WORD * (place - 1)
        for start in starts:
            meta = words[start + place]
            if PAGE <= meta < _HIGHEST and not meta & 7 and len(self._starts) < 1 << 20:
                self._starts.append(address + WORD * start + back)
                self._metas.append(meta)

    def scan(self, image: Image, spans: Iterable[Range]) -> None:
        """Gather from memory whose blocks are not known: whatever is aligned."""
        for start, end in spans:
            for at in range(start, end, WINDOW):
                stop = min(at + WINDOW, end)
                self._scan(image.window(at, stop), at, (stop - at) // WORD)

    def _scan(self, words: array[int], at: int, count: int) -> None:
        """Only classes are looked for, which are ready and have a plausible size."""
        stop = count - _STRUCT.size // WORD
        if stop <= 0:
            return
        # Blocks are multiples of 16 bytes.
        data = words[: count + count % 2].tobytes()
        likely = int.from_bytes(_column(data, _FLAGS + 1).translate(_CLASS), "little")
        for byte in (*range(_BASIC + 3, _BASIC + 8), _FLAGS + 6, _FLAGS + 7):
            likely &= int.from_bytes(_column(data, byte).translate(_ZERO), "little")
        marks = likely.to_bytes(len(data) // 16, "little")
        for index in compress(range(0, stop, 2), marks):
            meta = words[index + 1]
            if PAGE <= meta < _HIGHEST and not meta & 7 and len(self._starts) < 1 << 20:
                self._starts.append(at + WORD * index)
                self._metas.append(meta)

    def of(self, meta: int) -> list[int]:
        """The objects whose type this would be."""
        if self._by_meta is None:
            self._by_meta = {}
            for start, one in zip(self._starts, self._metas, strict=True):
                self._by_meta.setdefault(one, []).append(start)
        return self._by_meta.get(meta, [])


def _column(data: bytes, offset: int) -> bytes:
    """The byte at an offset of every object that may begin at a multiple of 16."""
    return data[offset::16].ljust(len(data) // 16, b"\xff")


class _Reader:
    """Reads types, and tells what is none."""

    def __init__(self, memory: Memory, layout: Layout) -> None:
        self._memory, self._layout = memory, layout
        self.found: dict[int, Type] = {}

    def read(self, address: int) -> Type | None:
        """The type at an address; ProcessLookupError if the process has ended."""
        if address % WORD:
            return None
        try:
            words = _STRUCT.unpack(self._memory.read(address, _STRUCT.size))
            flags, basic, item = (words[at // WORD] for at in (_FLAGS, _BASIC, _ITEM))
            if not flags & made.READY or not 0 < basic <= _MOST_BASIC or item > _MOST_ITEM:
                return None
            name = _name(self._memory.string(words[_NAME // WORD], _MOST_NAME))
        except ProcessLookupError:
            raise
        except OSError:
            return None
        if not name:
            return None
        head = self._layout.head(flags)
        # Most str have less than the struct of their type.
        least = head + (self._layout.text if flags & made.STR else basic)
        base, own = words[_BASE // WORD], words[_DICT // WORD]
        return Type(address, name, base, basic, item, flags, own, head, least)


class _Data:
    """The variables of a program and its libraries: what of them is resident."""

    def __init__(self, subject: Subject) -> None:
        areas = [
            (part.start, part.end)
            for module in subject.modules
            for part in module.mappings
            if part.perms.startswith("rw")
        ]
        areas += bss_spans(subject.memory, subject.modules)
        self._areas = areas
        pages = read_pages(subject.pid, areas, root=subject.root)
        self._image = Image(subject.memory, pages)

    def places(self, meta: int) -> Iterator[int]:
        """Where objects may be whose type this is."""
        wanted = meta.to_bytes(WORD, "little")
        for start, end in self._areas:
            for low, high in self._image.pages.runs(start, end):
                for at in range(low, high, WINDOW):
                    stop = min(at + WINDOW, high)
                    data = self._image.window(at, stop)[: (stop - at) // WORD].tobytes()
                    place = data.find(wanted)
                    while place >= 0:
                        if not place % WORD:
                            yield at + place - WORD
                        place = data.find(wanted, place + 1)


def _name(raw: bytes) -> str | None:
    """A name that can be shown; None if it is none."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if text and text.isprintable() else None
