"""One process that is looked at: what it has mapped, its pages, its memory, who serves its malloc.

Opened once and closed again; the descriptor of its memory stays with the program that ran when it
was opened, so that after an exit or an exec nothing of another program is taken for its own.
Nothing is stopped, written or faulted in. Sizes are bytes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence

from memtop.anatomy.image import Image
from memtop.anatomy.malloc import Malloc, find_malloc
from memtop.anatomy.regions import Region, read_regions
from memtop.probe.libraries import GLIBC
from memtop.target.allocator import Allocator, find_allocator
from memtop.target.careful import CarefulMemory
from memtop.target.maps import Mapping, Module, modules, read_maps
from memtop.target.pages import Pages, read_pages
from memtop.target.python import Python, find_python

_MOST_AGAIN = 3
_MOST_OFF = 0.9


class Subject:
    """A process whose memory is open; a context manager.

    `regions` are those of smaps, or with `sized` False made of maps, with no sizes, which is
    quicker. `step` gets the bytes of larger reads, and what it raises ends the look. `zero_bytes`:
    how much of what counts as shared is the zero page, if which is not known (before Linux 6.7).
    """

    def __init__(
        self,
        pid: int,
        *,
        root: str = "/proc",
        sized: bool = True,
        step: Callable[[int], None] | None = None,
    ) -> None:
        """OSError as the kernel gives it: EACCES without the right, ENOENT, ESRCH if it is gone."""
        self.pid, self.root = pid, root
        self._sized, self._step = sized, step or (lambda _: None)
        self.zero_bytes = 0
        # Before anything else: after an exec everything that is read later would be of another
        # program than what was read first, and the memory says that its own has ended.
        self.memory = CarefulMemory(pid, root=root)
        try:
            self._read_regions()
            self.modules: tuple[Module, ...] = modules(self.maps)
            self.allocator: Allocator = find_allocator(self.memory, self.modules)
            self.variables = _variables(self.allocator, self.modules)
            self._read_pages()
        except BaseException:
            self.memory.close()
            raise

    def _read_regions(self) -> None:
        pid, root = self.pid, self.root
        self.regions = read_regions(pid, root) if self._sized else _of_maps(read_maps(pid, root))
        self.maps: tuple[Mapping, ...] = tuple(region.mapping for region in self.regions)
        self.memory.maps = self.maps
        self.anonymous = [
            region
            for region in self.regions
            if region.kind == "anonymous"
            and (not self._sized or region.rss_bytes or region.swapped_bytes)
        ]

    def _read_pages(self) -> None:
        step = self._step
        areas = [(region.start, region.end) for region in self.anonymous]
        areas += [(mapping.start, mapping.end) for mapping in self.variables]
        self.pages: Pages = read_pages(self.pid, areas, root=self.root, check=lambda: step(0))
        self.image = Image(self.memory, self.pages, step)
        if self._sized and not self.pages.knows_zero:
            self._find_zero_pages()

    def _find_zero_pages(self) -> None:
        """Tell zero pages by smaps, where the kernel has no PAGEMAP_SCAN: they are in no RSS."""
        pages, left = self.pages, 0
        for region in self.anonymous:
            span = region.start, region.end
            shared, more = pages.shared_bytes(*span), pages.resident_bytes(*span) - region.rss_bytes
            # After a fork in between all pages would be shared, but no more of them than before.
            if shared and not region.shared_bytes and more > _MOST_OFF * shared:
                pages.mark_zero(*span)
            elif shared and more > 0:
                left += more
        self.zero_bytes = left
        pages.knows_zero = not left

    def find_malloc(self) -> Malloc | None:
        """The state of glibc's malloc, also of one that serves only what others leave to it.

        Where a heap has come or gone since, regions and pages are read again.
        """
        malloc = find_malloc(self.image, self.variables, self.maps, self.glibc)
        for _ in range(_MOST_AGAIN):
            if self.allocator.name != "glibc" or (malloc is not None and not malloc.trouble):
                break
            self._read_regions()
            self._read_pages()
            malloc = find_malloc(self.image, self.variables, self.maps, self.glibc)
        return malloc

    @property
    def glibc(self) -> tuple[int, int] | None:
        """The version of glibc, if that is known."""
        major, _, minor = (self.allocator.version or "").partition(".")
        return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None

    def find_python(self) -> Python | None:
        """The interpreter, if there is one."""
        return find_python(self.memory, self.modules)

    def expect_alive(self) -> None:
        """ProcessLookupError if the program that was opened has ended or become another one."""
        try:
            # Nothing is ever mapped there: EIO as long as the memory belongs to somebody, fs/proc/
            # base.c: mem_rw.
            is_gone = not os.pread(self.memory.fd, 1, 0)
        except OSError as error:
            is_gone = error.errno != errno.EIO
        if is_gone:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))

    def close(self) -> None:
        """Give the descriptors back."""
        self.memory.close()

    def __enter__(self) -> Subject:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _of_maps(maps: Sequence[Mapping]) -> tuple[Region, ...]:
    nothing: frozenset[str] = frozenset()
    return tuple(Region(mapping, 0, 0, 0, 0, 0, nothing) for mapping in maps)


def _variables(allocator: Allocator, loaded: Sequence[Module]) -> list[Mapping]:
    """The written mappings of the C library; of the program itself if that has it built in."""
    base = allocator.symbols.base if allocator.symbols is not None else None
    libc = next((module for module in loaded if module.base == base), None)
    libc = libc or next((module for module in loaded if GLIBC.match(module.name)), None)
    libc = libc or (loaded[0] if loaded else None)
    if libc is None:
        return []
    return [mapping for mapping in libc.mappings if mapping.perms.startswith("rw")]
