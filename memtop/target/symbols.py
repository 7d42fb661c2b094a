"""Addresses of the exported symbols of a loaded ELF file, read from the process's memory.

The memory is asked, not the file: the file may have been deleted or replaced, or lie in a mount
namespace of its own. What the dynamic linker uses is used here: program headers, the dynamic
section, DT_GNU_HASH or DT_HASH (elf(5); the GNU hash as in glibc's elf/dl-lookup.c), versions.
Memory may hold anything: every loop is bounded. Damaged tables give None, an address that is not
mapped an OSError, a header that is no ELF file's a ValueError; nothing else is raised.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from memtop.target.memory import Memory

MACHINE_X86_64 = 62
MACHINE_AARCH64 = 183

_MAX_PROGRAM_HEADERS = 256
_MAX_DYNAMIC = 1024  # entries; libraries have 30
_MAX_CHAIN = 4096  # symbols of one bucket; linkers make less than 20
_BLOCK = 32  # of a chain, read at once
_PAGE = 4096

_LOAD, _DYNAMIC = 1, 2
_EXECUTABLE, _SHARED = 2, 3  # e_type
_HASH, _STRTAB, _SYMTAB, _STRSZ, _DEBUG = 4, 5, 6, 10, 21
_GNU_HASH, _VERSYM = 0x6FFFFEF5, 0x6FFFFFF0
_POINTERS = (_HASH, _STRTAB, _SYMTAB, _GNU_HASH, _VERSYM)
_ABSOLUTE = 0xFFF1
_HIDDEN = 0x8000  # a version of a symbol that is not the default one
_TYPES = (0, 1, 2)  # none, object, function; TLS values are no addresses, IFUNC has to be called
_BINDINGS = (1, 2, 10)  # global, weak, unique

_HEADER = struct.Struct("<HHIQQQIHHH")  # from e_type on
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_ENTRY = struct.Struct("<qQ")
_SYMBOL = struct.Struct("<IBBHQQ")


class Symbol(NamedTuple):
    """Where it is, and its size; 0 if that is not known."""

    address: int
    size: int


class Symbols:
    """The symbols of the ELF file whose header lies at `base`.

    Its tables are found once, when it is made. A file that has none (static, or of 32 bits) is no
    error: every `find` gives None. `bias` is what has to be added to the addresses in the file.
    `linker`: where the dynamic linker keeps its struct r_debug; only programs know it, else 0.
    """

    __slots__ = ("_memory", "_tables", "base", "bias", "high", "is_64", "linker", "low", "machine")

    def __init__(self, memory: Memory, base: int) -> None:
        """ValueError if there is no (little-endian) ELF header; OSError if nothing is mapped."""
        self._memory = memory
        self._tables: dict[int, int] = {}
        self.base, self.bias, self.low, self.high = base, 0, base, base
        self.linker = 0
        header = memory.read(base, 64)
        if header[:4] != b"\x7fELF" or header[4] not in (1, 2) or header[5] != 1:
            raise ValueError(f"no ELF header at {base:#x}")
        kind, self.machine, _, _, offset, _, _, _, size, count = _HEADER.unpack_from(header, 16)
        self.is_64 = header[4] == 2
        if self.is_64 and kind in (_EXECUTABLE, _SHARED) and size == _PROGRAM_HEADER.size:
            self._read_tables(kind, offset, min(count, _MAX_PROGRAM_HEADERS))

    def find(self, name: str) -> Symbol | None:
        """The symbol of this name that programs would be linked to; None if there is none.

        Its default version is preferred, then the first one. Neither undefined symbols count nor
        those of thread-local storage, nor indirect functions, whose value picks the real one.
        """
        if not {_STRTAB, _SYMTAB} <= self._tables.keys():
            return None
        wanted = name.encode()
        if _GNU_HASH in self._tables:
            indices = self._gnu_candidates(wanted)
        elif _HASH in self._tables:
            indices = self._old_candidates(wanted)
        else:
            return None
        first: int | None = None
        for index in indices:
            if not self._is_called(index, wanted):
                continue
            if _VERSYM not in self._tables:
                return self._usable(index)
            raw = self._memory.read(self._tables[_VERSYM] + 2 * index, 2)
            version = int.from_bytes(raw, "little")
            if version and not version & _HIDDEN:
                return self._usable(index)
            if version and first is None:  # 0 is local
                first = index
        return None if first is None else self._usable(first)

    def _read_tables(self, kind: int, offset: int, count: int) -> None:
        """Find the dynamic section, and the tables that it names."""
        raw = self._memory.read(self.base + offset, count * _PROGRAM_HEADER.size)
        loads, dynamic = [], None
        for header in _PROGRAM_HEADER.iter_unpack(raw):
            if header[0] == _LOAD:
                loads.append(header)
            elif header[0] == _DYNAMIC:
                dynamic = header
        if not loads:
            return
        first = min(loads, key=lambda load: load[2])
        # Where the start of the file would be, in the addresses of the file.
        start = first[3] - first[2]
        self.bias = 0 if kind == _EXECUTABLE else self.base - start
        self.low = self.bias + min(load[3] for load in loads)
        self.high = self.bias + max(load[3] + load[6] for load in loads)
        if dynamic is None:
            return
        size = min(dynamic[6] // _ENTRY.size, _MAX_DYNAMIC) * _ENTRY.size
        for tag, value in _ENTRY.iter_unpack(self._memory.read(self.bias + dynamic[3], size)):
            if tag == 0:
                break
            if tag == _STRSZ:
                self._tables[tag] = value
            elif tag == _DEBUG:
                self.linker = value
            elif tag in _POINTERS:
                # glibc adds the bias in place, unless the section is read-only; musl never does.
                for address in (value, self.bias + value):
                    if self.low <= address < self.high:
                        self._tables[tag] = address
                        break

    def _is_called(self, index: int, name: bytes) -> bool:
        """Whether entry `index` of the table has this name, and is defined here."""
        entry = self._entry(index)
        offset, section = entry[0], entry[3]
        if not section or offset + len(name) + 1 > self._tables.get(_STRSZ, 1 << 32):
            return False
        there = self._memory.read(self._tables[_STRTAB] + offset, len(name) + 1)
        return there == name + b"\0"

    def _usable(self, index: int) -> Symbol | None:
        """The symbol of entry `index` if it is an address within this file."""
        _, info, _, section, value, size = self._entry(index)
        address = self.bias + value
        if section == _ABSOLUTE or not value or not self.low <= address < self.high:
            return None
        if info & 0xF not in _TYPES or info >> 4 not in _BINDINGS:
            return None
        return Symbol(address, min(size, self.high - address))

    def _entry(self, index: int) -> tuple[int, ...]:
        at = self._tables[_SYMTAB] + index * _SYMBOL.size
        return _SYMBOL.unpack(self._memory.read(at, _SYMBOL.size))

    def _gnu_candidates(self, name: bytes) -> list[int]:
        """The indices of the symbols with the same hash."""
        table = self._tables[_GNU_HASH]
        buckets, first, blooms, shift = struct.unpack("<4I", self._memory.read(table, 16))
        if not buckets or not blooms:
            return []
        wanted = 5381
        for byte in name:
            wanted = (wanted * 33 + byte) & 0xFFFFFFFF
        word = self._u64(table + 16 + 8 * (wanted // 64 % blooms))
        if not word >> wanted % 64 & word >> (wanted >> shift % 32) % 64 & 1:
            return []
        bucket_table = table + 16 + 8 * blooms
        index = self._u32(bucket_table + 4 * (wanted % buckets))
        if index < first:
            return []
        found: list[int] = []
        chains = bucket_table + 4 * buckets
        end = index + _MAX_CHAIN
        while index < end:
            at = chains + 4 * (index - first)
            # Not beyond the page: the table may be the last that is mapped.
            count = min(_BLOCK, (_PAGE - at % _PAGE) // 4 or 1)
            for value in struct.unpack(f"<{count}I", self._memory.read(at, 4 * count)):
                if value | 1 == wanted | 1:
                    found.append(index)
                if value & 1:  # the last of its bucket
                    return found
                index += 1
        return found

    def _old_candidates(self, name: bytes) -> list[int]:
        """The indices of all symbols of the same bucket."""
        table = self._tables[_HASH]
        buckets, chains = struct.unpack("<2I", self._memory.read(table, 8))
        if not buckets:
            return []
        wanted = 0
        for byte in name:  # the System V ABI's hash
            wanted = (wanted << 4) + byte
            wanted = (wanted ^ (wanted >> 24 & 0xF0)) & 0x0FFFFFFF
        found: list[int] = []
        index = self._u32(table + 8 + 4 * (wanted % buckets))
        while 0 < index < chains and len(found) < _MAX_CHAIN:
            found.append(index)
            index = self._u32(table + 8 + 4 * (buckets + index))
        return found

    def _u32(self, address: int) -> int:
        return int.from_bytes(self._memory.read(address, 4), "little")

    def _u64(self, address: int) -> int:
        return int.from_bytes(self._memory.read(address, 8), "little")
