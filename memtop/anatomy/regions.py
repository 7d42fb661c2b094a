"""The regions of a process as /proc/PID/smaps counts them, and what kind of memory each one is.

The resident sizes of all regions add up to VmRSS (Linux 6.18, `[vdso]` included). smaps walks the
page tables region by region; smaps_rollup holds the target's mmap_lock for the whole walk. Pages
of hugetlbfs are in no RSS and in no figure here (Documentation/filesystems/proc.rst). Nothing is
read of the memory itself but program headers. Addresses and sizes are bytes.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from memtop.target.maps import Mapping, Module, parse_maps
from memtop.target.memory import Memory
from memtop.target.pages import PAGE

Kind = Literal["vdso", "main_stack", "shared", "files", "anonymous", "hugetlb"]

MAX_SMAPS = 1 << 30  # bytes; a region takes 700, and 65,530 of them are the usual limit
_BLOCK = 1 << 18
# fs/proc/task_mmu.c, show_smap: `Name: ` and the number to column 24, then ` kB`.
_NUMBER = slice(16, -3)
_FIELDS = (b"Rss:", b"Shared_Clean:", b"Shared_Dirty:", b"Anonymous:", b"AnonHugePages:", b"Swap:")
_SHARED_PATHS = ("/dev/shm/", "/memfd:", "/SYSV", "[anon_shmem:")

_HEADER_SIZE, _PROGRAM_HEADER = 64, struct.Struct("<IIQQQQQQ")
_HEAD = 1024  # bytes of a file's start that nearly always hold all program headers
_MOST_HEADERS = 256
_LOAD, _EXECUTABLE, _SHARED_OBJECT = 1, 2, 3


class Region(NamedTuple):
    """One mapping and what of it is resident.

    `shared_bytes`: of it in pages that other processes have mapped, too. `anonymous_bytes`: of no
    file, or private copies of a file's pages. `huge_bytes`: in transparent huge pages. `flags`:
    those of VmFlags, as `gu` (guard pages within it), `ht` (hugetlbfs), `wf` (empty after fork).
    """

    mapping: Mapping
    rss_bytes: int
    shared_bytes: int
    anonymous_bytes: int
    huge_bytes: int
    swapped_bytes: int
    flags: frozenset[str]

    @property
    def start(self) -> int:
        """Its first address."""
        return self.mapping.start

    @property
    def end(self) -> int:
        """The address after it."""
        return self.mapping.end

    @property
    def kind(self) -> Kind:
        """What kind of memory it is.

        `vdso`: what the kernel maps by itself, some pages. `shared`: also with processes that are
        no relatives. `files`: private mappings, the copied pages (`anonymous_bytes`) and the page
        cache. `anonymous`: all other private memory, readable or not. `hugetlb`: pages that count
        in no RSS, although pagemap tells of them.
        """
        path = self.mapping.path
        if "ht" in self.flags:
            return "hugetlb"
        if path.startswith("[") and not path.startswith(("[heap]", "[stack", "[anon")):
            return "vdso"
        if path.startswith("[stack"):
            return "main_stack"
        if "s" in self.mapping.perms or path.startswith(_SHARED_PATHS):
            return "shared"
        # A private mapping of /dev/zero is anonymous memory (drivers/char/mem.c: mmap_zero).
        if not path or path.startswith("[") or path == "/dev/zero":
            return "anonymous"
        return "files"


def read_regions(pid: int, root: str = "/proc") -> tuple[Region, ...]:
    """The regions of process `pid` now, in the order of addresses.

    OSError as the kernel gives it: EACCES without PTRACE_MODE_READ, ENOENT or ESRCH when it is
    gone. Of a process that maps and unmaps meanwhile a region may be left out.
    """
    fd = os.open(f"{root}/{pid}/smaps", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        data = bytearray()
        # A read gives a page at most (fs/seq_file.c).
        while len(data) < MAX_SMAPS and (block := os.read(fd, _BLOCK)):
            data += block
        # At an exit or exec it ends as if there were no more.
        if not os.pread(fd, 1, 0):
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    finally:
        os.close(fd)
    return _without_doubles(parse_smaps(bytes(data)))


def _without_doubles(regions: Iterable[Region]) -> tuple[Region, ...]:
    """Each address once: a region that grew between two reads is told again, as a whole."""
    found: list[Region] = []
    for region in regions:
        while found and region.start < found[-1].end:
            found.pop()
        found.append(region)
    return tuple(found)


def parse_smaps(raw: bytes) -> tuple[Region, ...]:
    """The regions of a smaps file; what is no such record, and a cut last one, is left out."""
    headers: list[bytes] = []
    figures: list[tuple[list[int], bytes]] = []
    places: dict[int, list[int]] = {}
    # VmFlags is the last line of a record (Linux 3.8): what follows begins with its value.
    records = raw.split(b"\nVmFlags:")
    flags_of: dict[bytes, frozenset[str]] = {}
    for index in range(len(records) - 1):
        lines = records[index].split(b"\n")
        if index:
            del lines[0]
        flags, newline, _ = records[index + 1].partition(b"\n")
        if not newline or not lines:
            continue
        # All records of a kernel have the same lines.
        found = places.get(len(lines))
        if found is None:
            found = places[len(lines)] = _places(lines)
        try:
            numbers = [int(lines[place][_NUMBER]) << 10 if place else 0 for place in found]
        except ValueError:
            continue
        headers.append(lines[0])
        figures.append((numbers, flags))
        if flags not in flags_of:
            flags_of[flags] = frozenset(flags.decode("ascii", "replace").split())
    mappings: Sequence[Mapping | None] = parse_maps(b"\n".join((*headers, b"")))
    if len(mappings) != len(headers):  # one is no mapping
        mappings = [next(iter(parse_maps(header + b"\n")), None) for header in headers]
    return tuple(
        Region(mapping, rss, clean + dirty, anonymous, huge, swapped, flags_of[flags])
        for mapping, ((rss, clean, dirty, anonymous, huge, swapped), flags) in zip(
            mappings, figures, strict=True
        )
        if mapping is not None
    )


def bss_spans(memory: Memory, modules: Iterable[Module]) -> list[tuple[int, int]]:
    """The zeroed data of programs and libraries: anonymous memory behind what is of the file.

    In whole pages, as it is mapped; of a page that is partly of the file the rest is no span. A
    module that cannot be read, or is no ELF file of 64 bits, has none. ProcessLookupError if the
    process has ended.
    """
    spans: list[tuple[int, int]] = []
    for module in modules:
        try:
            spans += _zeroed(memory, module)
        except ProcessLookupError:
            raise
        except (OSError, struct.error):
            continue
    return sorted(spans)


def _places(lines: Sequence[bytes]) -> list[int]:
    """At which lines the fields are; 0 for one that this kernel does not have."""
    names = [line.split(b" ", 1)[0] for line in lines]
    return [names.index(field, 1) if field in names[1:] else 0 for field in _FIELDS]


def _zeroed(memory: Memory, module: Module) -> list[tuple[int, int]]:
    """The spans of one module (elf(5); glibc's elf/dl-map-segments.h, fs/binfmt_elf.c)."""
    size = min(_HEAD, module.mappings[0].end - module.base)
    head = memory.read(module.base, size)
    if head[:6] != b"\x7fELF\x02\x01" or len(head) < _HEADER_SIZE:
        return []
    (kind,) = struct.unpack_from("<H", head, 16)
    (offset,) = struct.unpack_from("<Q", head, 32)
    entry, count = struct.unpack_from("<HH", head, 54)
    if kind not in (_EXECUTABLE, _SHARED_OBJECT) or entry != _PROGRAM_HEADER.size:
        return []
    size = min(count, _MOST_HEADERS) * entry
    if offset + size <= len(head):
        raw = head[offset : offset + size]
    else:
        # Tools that edit files (patchelf) move the headers to another segment.
        for part in module.mappings:
            if part.offset <= offset < part.offset + part.end - part.start:
                raw = memory.read(part.start + offset - part.offset, size)
                break
        else:
            return []
    loads = [load for load in _PROGRAM_HEADER.iter_unpack(raw) if load[0] == _LOAD]
    if not loads:
        return []
    first = min(loads, key=lambda load: load[2])
    bias = 0 if kind == _EXECUTABLE else module.base - (first[3] - first[2])
    found = []
    for _, _, _, address, _, in_file, in_memory, _ in loads:
        start = -(-(bias + address + in_file) // PAGE) * PAGE
        end = -(-(bias + address + in_memory) // PAGE) * PAGE
        if start < end and module.base <= start:
            found.append((start, end))
    return found
