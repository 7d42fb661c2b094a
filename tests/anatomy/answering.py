"""What every target of this folder can be asked; the targets import it. CPython 3.6 and later.

    info     mallinfo2(3) as a dictionary, or mallinfo(3) before glibc 2.33
    trim     malloc_trim(0): {"returned": 0 or 1}
    stats    sys._debugmallocstats() to stderr, then {"done": true}
    end      ends the target

An answer takes nothing from malloc unless Python's own objects do: what is asked must not be
changed by the question.
"""

import ctypes
import json
import os
import sys

FIELDS = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = libc.malloc.restype = libc.sbrk.restype = libc.memset.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.sbrk.argtypes = [ctypes.c_ssize_t]
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

PROT_NONE, PROT_READ_WRITE = 0, 3
MAP_PRIVATE, MAP_ANONYMOUS, MAP_FIXED_NOREPLACE = 2, 0x20, 0x100000


def _structure(kind):
    class Info(ctypes.Structure):
        _fields_ = [(name, kind) for name in FIELDS]

    return Info


if hasattr(libc, "mallinfo2"):
    _mallinfo = libc.mallinfo2
    _mallinfo.restype = _structure(ctypes.c_size_t)
elif hasattr(libc, "mallinfo"):
    _mallinfo = libc.mallinfo
    _mallinfo.restype = _structure(ctypes.c_uint)
else:
    _mallinfo = None


def info():
    """What malloc itself says it has; empty if it is not glibc's."""
    if _mallinfo is None:
        return {}
    found = _mallinfo()
    return {name: getattr(found, name) for name in FIELDS}


def trim():
    return {"returned": libc.malloc_trim(0)}


def stats():
    sys._debugmallocstats()
    return {"done": True}


def map_pages(size, address=None, protection=PROT_READ_WRITE, flags=0):
    """The address of new anonymous memory."""
    found = libc.mmap(address, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0)
    if found in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "mmap")
    return found


def say(answer):
    os.write(1, json.dumps(answer).encode() + b"\n")


def obey(said, **more):
    """Say the first line, then obey lines until the input ends; `more` are further commands."""
    commands = dict(info=info, trim=trim, stats=stats)  # noqa: C408
    commands.update(more)
    json.dumps(info())  # so that the first answer is like the others
    say(said)
    line = bytearray(64)
    while True:
        count = os.readv(0, [line])
        command = bytes(line[:count]).decode().split()
        if not command or command[0] == "end":
            return
        say(commands[command[0]]())
