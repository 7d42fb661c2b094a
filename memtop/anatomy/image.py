"""The memory of a live process as words: windows to walk through, and single words here and there.

Only resident pages are read, through /proc/PID/mem; what is absent, in swap or unmapped meanwhile
reads as zeros, which no structure of an allocator takes for a block. The process runs on, so two
reads need not agree. Addresses and sizes are bytes; a word has eight.
"""

from __future__ import annotations

import errno
import os
from array import array
from collections.abc import Callable
from struct import Struct

from memtop.target.memory import Memory
from memtop.target.pages import PAGE, Pages

WINDOW = 4 << 20
WORD = 8
_MOST_KEPT = 1024  # pages
_HEADS_A_STEP = 1024
_WORD = Struct("=Q")


class Cancelled(Exception):
    """Nobody waits for the answer any more."""


class Image:
    """The memory of one process; `read_bytes` is how much of it was read, `lost_bytes` was not.

    `step` is called with the bytes of each larger read; what it raises ends the reading.
    """

    __slots__ = (
        *("memory", "pages", "read_bytes", "lost_bytes"),
        *("_heads", "_kept", "_step", "_view", "_window"),
    )

    def __init__(
        self, memory: Memory, pages: Pages, step: Callable[[int], None] | None = None
    ) -> None:
        self.memory, self.pages = memory, pages
        self.read_bytes = self.lost_bytes = self._heads = 0
        self._step = step or (lambda _: None)
        self._window = array("Q")
        self._view = memoryview(b"")
        self._kept: dict[int, bytes] = {}

    def window(self, start: int, end: int) -> array[int]:
        """The words from `start` to `end` at index 0 and on; what lies behind them is left over.

        At most WINDOW bytes; `start` and `end` are multiples of a word. The array is used again by
        the next call. ProcessLookupError if the process has ended.
        """
        size = end - start
        if not self._window:
            self._window = array("Q", bytes(WINDOW))
            self._view = memoryview(self._window).cast("B")
        if not 0 <= size <= WINDOW:
            raise ValueError(f"a window of {size} bytes")
        at = start
        for low, high in self.pages.runs(start, end):
            if at < low:
                self._clear(at - start, low - start)
            self._read(low, high, low - start)
            at = high
        if at < end:
            self._clear(at - start, size)
        self._step(size)
        return self._window

    def word(self, address: int) -> int:
        """The word at an address; 0 if its page is not resident."""
        data = self._page(address - address % PAGE)
        offset = address % PAGE
        return int(_WORD.unpack_from(data, offset)[0]) if offset + WORD <= len(data) else 0

    def raw(self, address: int, size: int) -> bytes:
        """`size` bytes, at most a page of them; zeros where they are not resident."""
        start = address - address % PAGE
        data = self._page(start)[address - start : address - start + size]
        if len(data) < min(size, PAGE - address % PAGE):
            data = data.ljust(min(size, PAGE - address % PAGE), b"\0")
        if len(data) < size:
            data += self._page(start + PAGE)[: size - len(data)].ljust(size - len(data), b"\0")
        return data

    def words(self, address: int, count: int) -> tuple[int, ...]:
        """`count` words, no more than a page of them."""
        return Struct(f"={count}Q").unpack(self.raw(address, count * WORD))

    def variables(self, address: int, size: int) -> tuple[int, ...]:
        """The words of a few pages of variables."""
        pages = (self._page(start) for start in range(address, address + size, PAGE))
        data = b"".join(page.ljust(PAGE, b"\0") for page in pages)
        return Struct(f"={size // WORD}Q").unpack_from(data)

    def head(self, address: int, size: int) -> bytes:
        """`size` bytes of one page, which is not kept: for pages that are looked at once.

        Zeros where they are not resident. ProcessLookupError if the process has ended.
        """
        if not self.pages.is_resident(address):
            return bytes(size)
        self._heads += 1
        if not self._heads % _HEADS_A_STEP:
            self._step(0)
        try:
            # The next page need not be resident.
            data = os.pread(self.memory.fd, min(size, PAGE - address % PAGE), address)
        except OSError as error:
            _expect_lost(error)
            return bytes(size)
        if not data:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        return data if len(data) == size else bytes(size)

    def forget(self) -> None:
        """Look anew at what was read before."""
        self._kept.clear()

    def _page(self, start: int) -> bytes:
        found = self._kept.get(start)
        if found is None:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            found = self._kept[start] = self.head(start, PAGE) if start >= 0 else b""
            self.read_bytes += PAGE
        return found

    def _read(self, low: int, high: int, offset: int) -> None:
        """Fill the window from `low` to `high`; what cannot be read becomes zeros."""
        while low < high:
            try:
                count = os.preadv(self.memory.fd, [self._view[offset : offset + high - low]], low)
            except OSError as error:
                _expect_lost(error)
                count = 0
            else:
                if not count:
                    raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
            self.read_bytes += count
            low, offset = low + count, offset + count
            if low < high:
                # It ends at a page that has been unmapped since: go on behind that.
                size = min(PAGE - low % PAGE, high - low)
                self._clear(offset, offset + size)
                self.lost_bytes += size
                low, offset = low + size, offset + size

    def _clear(self, low: int, high: int) -> None:
        self._view[low:high] = bytes(high - low)


def _expect_lost(error: OSError) -> None:
    """Whether memory could not be read because it is not there any more; else the error goes on."""
    if error.errno not in (errno.EIO, errno.EFAULT):
        raise error
