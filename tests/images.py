"""The memory of processes for tests of what reads it, and memory that is made up."""

import contextlib
import errno
import os

from memtop.anatomy.image import Image
from memtop.anatomy.regions import read_regions
from memtop.target.memory import Memory
from memtop.target.pages import EXCLUSIVE, PAGE, Extent, Pages, read_pages


class Opened:
    """A live process: its regions, the private anonymous ones as spans, and their image."""

    def __init__(self, pid):
        self.regions = read_regions(pid)
        self.spans = anonymous_spans(self.regions)
        self.pages = read_pages(pid, self.spans)
        self.memory = Memory(pid)
        self.image = Image(self.memory, self.pages)


@contextlib.contextmanager
def opened(pid):
    """The process as it is now; its memory is closed afterwards."""
    process = Opened(pid)
    with process.memory:
        yield process


def anonymous_spans(regions):
    """Writable private anonymous memory; neighbours are one span."""
    spans = []
    for region in regions:
        if region.kind != "anonymous" or region.mapping.perms[:2] != "rw":
            continue
        if spans and spans[-1][1] == region.start:
            spans[-1] = spans[-1][0], region.end
        else:
            spans.append((region.start, region.end))
    return spans


def without(spans, cuts):
    """Spans less what lies in `cuts`; both are in order."""
    left = []
    for start, end in spans:
        for low, high in cuts:
            if low < end and start < high:
                if start < low:
                    left.append((start, low))
                start = max(start, high)
        if start < end:
            left.append((start, end))
    return left


class Bounded(Memory):
    """Memory that is made up: what lies outside is not mapped, instead of the process's end."""

    def __init__(self, memory, start, end):
        self.fd, self._bounds = memory.fd, (start, end)

    def read(self, address, size):
        """As from a process."""
        start, end = self._bounds
        if not start <= address <= address + size <= end:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(address, size)


@contextlib.contextmanager
def made_up(data, start, kinds=None, huge=()):
    """An image that has `data`, whole pages, at an address; all resident if no kinds are given."""
    memory = Memory.__new__(Memory)
    memory.fd = os.memfd_create("made_up")
    with memory:
        os.pwrite(memory.fd, data, start)
        kinds = bytearray([EXCLUSIVE]) * (len(data) // PAGE) if kinds is None else kinds
        yield Image(memory, Pages([Extent(start, bytearray(kinds))], huge))
