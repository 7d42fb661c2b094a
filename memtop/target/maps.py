"""What a process has mapped: the lines of /proc/PID/maps, and the ELF files among them.

Format: proc_pid_maps(5), fs/proc/task_mmu.c (show_map_vma). Addresses, offsets and sizes are
bytes; paths are those of the process's own mount namespace, for the file system's bytes with
`surrogateescape`. Nothing here looks into memory or opens a mapped file. It is imported by a
process that must start quickly, so it imports next to nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

MAX_MAPS = 64 << 20  # bytes of maps that are read; 65,530 mappings, the usual limit, take 7 MiB
_BLOCK = 1 << 18
_DELETED = " (deleted)"


class Mapping(NamedTuple):
    """One line; `path` is empty if it is anonymous, `[stack]` and the like as the kernel writes it.

    `deleted`: the path leads to another file by now, or to none.
    """

    start: int
    end: int
    perms: str
    offset: int
    device: str
    inode: int
    path: str
    deleted: bool = False


class Module(NamedTuple):
    """A program or library as it was loaded; `base` is where its ELF header lies."""

    path: str
    base: int
    end: int
    mappings: tuple[Mapping, ...]

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


def read_maps(pid: int, root: str = "/proc") -> tuple[Mapping, ...]:
    """What process `pid` has mapped now, in the order of addresses.

    OSError as the kernel gives it: EACCES without the right to ptrace, ENOENT or ESRCH when it is
    gone. A process that maps and unmaps meanwhile may give a line twice or not at all.
    """
    fd = os.open(f"{root}/{pid}/maps", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        data = bytearray()
        # A read gives a page at most (fs/seq_file.c).
        while len(data) < MAX_MAPS and (block := os.read(fd, _BLOCK)):
            data += block
    finally:
        os.close(fd)
    return parse_maps(bytes(data))


def parse_maps(raw: bytes) -> tuple[Mapping, ...]:
    """The mappings of a maps file; what is no such line, and a cut last one, is left out.

    The kernel writes a newline within a path as `\\012`, so that a line is always one mapping.
    """
    found = []
    for line in raw.decode("utf-8", "surrogateescape").split("\n")[:-1]:
        fields = line.split(None, 5)
        try:
            start, _, end = fields[0].partition("-")
            path = fields[5] if len(fields) == 6 else ""
            deleted = path.endswith(_DELETED)
            mapping = Mapping(
                int(start, 16),
                int(end, 16),
                fields[1],
                int(fields[2], 16),
                fields[3],
                int(fields[4]),
                path.removesuffix(_DELETED),
                deleted,
            )
        except (IndexError, ValueError):
            continue
        found.append(mapping)
    return tuple(found)


def modules(maps: Iterable[Mapping]) -> tuple[Module, ...]:
    """The loaded ELF files, in the order of addresses: the program and its libraries; no `[vdso]`.

    A file that is mapped whole as data beside that, or as data only, is no module. Whether a
    module really is an ELF file is for its header to say.
    """
    loaded: list[list[Mapping]] = []
    # A loaded file is a run of mappings with rising offsets that begins with offset 0; the same
    # file may be loaded twice (dlmopen), or mapped as data before or after that.
    open_runs: dict[tuple[str, int, str, bool], list[Mapping]] = {}
    for mapping in maps:
        if not mapping.path.startswith("/"):
            continue
        key = mapping.device, mapping.inode, mapping.path, mapping.deleted
        if mapping.offset == 0 and not _continues(open_runs.get(key), mapping):
            open_runs[key] = []
            loaded.append(open_runs[key])
        if key in open_runs:
            open_runs[key].append(mapping)
    return tuple(
        Module(run[0].path, run[0].start, run[-1].end, tuple(run))
        for run in loaded
        # Some programs copy their code to huge pages: nothing executable of the file is left, but
        # what is only read and what is written are still apart, as in no file of data.
        if len({part.perms[:3] for part in run}) > 1 or "x" in run[0].perms
    )


def _continues(run: list[Mapping] | None, mapping: Mapping) -> bool:
    """Whether a mapping of offset 0 is the data segment of a tiny program, not another load."""
    return (
        run is not None
        and len(run) == 1
        and run[0].end == mapping.start
        and run[0].perms != mapping.perms
    )
