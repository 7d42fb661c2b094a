"""The memory of a process for reading alone, without a page of it being faulted in.

Reading through /proc/PID/mem maps a page of a file that the process has not used yet, which its RSS
then counts. So pages that pagemap calls absent are read from the file itself: what is mapped
but not written to is what the file says. Absent anonymous pages are zeros; swapped ones are left
alone. Addresses and sizes are bytes.
"""

from __future__ import annotations

import errno
import os
import stat
from bisect import bisect_right
from collections.abc import Sequence

from memtop.target.maps import Mapping
from memtop.target.memory import MAX_READ, Memory
from memtop.target.pages import PAGE

_PRESENT, _SWAPPED = 0x80, 0x40  # of the highest byte of a pagemap entry
_MOST_FILES = 16
_DEVICES, _MEMORY = ("/dev/", "/sys/"), ("/dev/shm/", "/dev/hugepages/")


class CarefulMemory(Memory):
    """An open /proc/PID/mem that is only asked for pages which are resident.

    `maps` are the process's mappings, which may be set later. Without pagemap everything is asked
    for. A file that cannot be opened is read through the process after all: it has mapped it, so
    that costs it 64 KiB of the page cache at most (fault_around_bytes).
    """

    __slots__ = ("_files", "_maps", "_pagemap", "_pid", "_present", "_root", "_starts")

    def __init__(self, pid: int, maps: Sequence[Mapping] = (), *, root: str = "/proc") -> None:
        """OSError as for `Memory`."""
        super().__init__(pid, root=root)
        self._pid, self._root = pid, root
        self.maps = maps
        self._present: set[int] = set()
        self._files: dict[Mapping, int] = {}
        try:
            self._pagemap = os.open(f"{root}/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._pagemap = -1

    @property
    def maps(self) -> Sequence[Mapping]:
        """What the process has mapped, in the order of addresses."""
        return self._maps

    @maps.setter
    def maps(self, maps: Sequence[Mapping]) -> None:
        self._maps = maps
        self._starts = [mapping.start for mapping in maps]

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes; OSError as for `Memory`, EIO for what is in swap or of a device."""
        if not 0 <= size <= MAX_READ:
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
        mapping = self._mapping(address)
        # What a driver does when its memory is read nobody knows.
        if mapping is not None and mapping.path.startswith(_DEVICES) and not _is_memory(mapping):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if self._pagemap < 0 or self._is_present(address, size):
            return super().read(address, size)
        parts, end = [], address + size
        while address < end:
            count = min(PAGE - address % PAGE, end - address)
            parts.append(self._part(address, count))
            address += count
        return b"".join(parts)

    def close(self) -> None:
        """Give all descriptors back."""
        super().close()
        for fd in (self._pagemap, *self._files.values()):
            if fd >= 0:
                os.close(fd)
        self._pagemap = -1
        self._files.clear()

    def _is_present(self, address: int, size: int) -> bool:
        first, last = address // PAGE, (address + max(size, 1) - 1) // PAGE
        return last - first < 64 and all(self._top(page) for page in range(first, last + 1))

    def _top(self, page: int) -> bool:
        """Whether a page is resident; what was so once is not asked for again."""
        if page in self._present:
            return True
        if self._entry(page) & _PRESENT:
            self._present.add(page)
            return True
        return False

    def _entry(self, page: int) -> int:
        try:
            entry = os.pread(self._pagemap, 8, page * 8)
        except OSError:
            return _PRESENT  # the memory itself will say what is wrong
        return entry[7] if len(entry) == 8 else _PRESENT

    def _part(self, address: int, size: int) -> bytes:
        """Bytes of one page."""
        if self._top(address // PAGE):
            return super().read(address, size)
        if self._entry(address // PAGE) & _SWAPPED:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        mapping = self._mapping(address)
        if mapping is None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if not mapping.path or mapping.path.startswith("["):
            return bytes(size)
        fd = self._open(mapping)
        if fd >= 0:
            try:
                data = os.pread(fd, size, mapping.offset + address - mapping.start)
            except OSError:
                data = b""
            if len(data) == size:
                return data
        return super().read(address, size)

    def _mapping(self, address: int) -> Mapping | None:
        place = bisect_right(self._starts, address) - 1
        mapping = self._maps[place] if place >= 0 else None
        return mapping if mapping is not None and address < mapping.end else None

    def _open(self, mapping: Mapping) -> int:
        """The file of a mapping, as the process sees it; -1 if it is not that file any more."""
        if mapping not in self._files:
            if len(self._files) >= _MOST_FILES:
                oldest = self._files.pop(next(iter(self._files)))
                if oldest >= 0:
                    os.close(oldest)
            self._files[mapping] = self._try(mapping)
        return self._files[mapping]

    def _try(self, mapping: Mapping) -> int:
        folder = f"{self._root}/{self._pid}"
        paths = [f"{folder}/map_files/{mapping.start:x}-{mapping.end:x}"]
        if not mapping.deleted:
            paths.append(f"{folder}/root{mapping.path}")
        for path in paths:
            try:
                # To open a device may do something, so the file is looked at before it is opened.
                place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                found = os.fstat(place)
                if stat.S_ISREG(found.st_mode) and found.st_ino == mapping.inode:
                    return os.open(f"{self._root}/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                pass
            finally:
                os.close(place)
        return -1


def _is_memory(mapping: Mapping) -> bool:
    return mapping.path.startswith(_MEMORY)
