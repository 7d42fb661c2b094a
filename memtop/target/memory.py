"""The memory of a process, read and written through /proc/PID/mem.

pread and pwrite of that file leave alone what the process shares with its parent when they read;
process_vm_readv would un-share it, page by page. Writing goes through page protection
(FOLL_FORCE in fs/proc/base.c: mem_rw), so it may change code. The open descriptor stays with the
program that ran when it was opened: after exec or exit it answers ESRCH, even if the PID is in
use again. Addresses and sizes are bytes.
"""

from __future__ import annotations

import errno
import os
import struct

MAX_READ = 256 << 20  # bytes at once; a size that was read from memory may be anything
_CHUNK = 256
_PAGE = 4096  # no page is smaller
_MAX_ADDRESS = (1 << 63) - 1  # what pread can be asked for


class Memory:
    """An open /proc/PID/mem; use it as a context manager, or close it."""

    __slots__ = ("fd",)

    def __init__(self, pid: int, *, writable: bool = False, root: str = "/proc") -> None:
        """OSError of open: EACCES without the right to ptrace, ENOENT or ESRCH when it is gone."""
        flags = os.O_RDWR if writable else os.O_RDONLY
        self.fd = os.open(f"{root}/{pid}/mem", flags | os.O_CLOEXEC)

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes.

        OSError otherwise: EIO if part of it is not mapped or not readable, EFAULT if no process
        can have such memory, ESRCH if the program that was opened has ended.
        """
        _check(address, size)
        data = os.pread(self.fd, size, address)
        if len(data) == size:
            return data
        if not data:
            raise _error(errno.ESRCH)
        while len(data) < size:
            # What follows is not mapped, which the kernel says when it is asked for it alone.
            more = os.pread(self.fd, size - len(data), address + len(data))
            if not more:
                raise _error(errno.ESRCH)
            data += more
        return data

    def words(self, address: int, count: int) -> tuple[int, ...]:
        """`count` unsigned words of 64 bits; OSError as in `read`."""
        return struct.unpack(f"={count}Q", self.read(address, count * 8))

    def string(self, address: int, limit: int = 4096) -> bytes:
        """The bytes up to a NUL, or the first `limit` ones if there is none among them.

        OSError as in `read`; memory beyond the page that has the NUL need not be mapped.
        """
        data = b""
        while len(data) < limit:
            at = address + len(data)
            size = min(_CHUNK, _PAGE - at % _PAGE, limit - len(data))
            head, nul, _ = self.read(at, size).partition(b"\0")
            data += head
            if nul:
                break
        return data

    def write(self, address: int, data: bytes) -> None:
        """Write all of `data`; OSError as in `read`, then part of it may have been written."""
        _check(address, len(data))
        done = 0
        while done < len(data):
            count = os.pwrite(self.fd, data[done:], address + done)
            if not count:
                raise _error(errno.ESRCH)
            done += count

    def close(self) -> None:
        """Give the descriptor back; more than once is fine."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _check(address: int, size: int) -> None:
    if not (0 <= size <= MAX_READ and 0 <= address <= _MAX_ADDRESS - size):
        raise _error(errno.EFAULT)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
