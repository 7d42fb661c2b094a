"""Large blocks, each of which malloc maps by itself, got in every way there is.

    target_blocks.py [COUNT]

Commands: `more` takes some more, `align` some with alignments of many pages.
"""

import ctypes
import random
import sys

from answering import info, libc, obey

libc.calloc.restype = libc.realloc.restype = libc.valloc.restype = ctypes.c_void_p
libc.calloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
libc.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.valloc.argtypes = [ctypes.c_size_t]
libc.posix_memalign.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]
# A block that is freed raises the threshold otherwise, and lists grow by freeing.
libc.mallopt(-3, 128 << 10)

held = []
rnd = random.Random(5)


def touch(address, size):
    libc.memset(address, 0xA5, size)
    held.append((address, size))


def aligned(alignment, size):
    found = ctypes.c_void_p()
    libc.posix_memalign(ctypes.byref(found), alignment, size)
    return found.value


def take(number):
    size = rnd.choice((200_000, 262_144 - 16, 262_144, 500_000, 1 << 20, (1 << 20) + 1, 3 << 20))
    way = number % 9
    if way == 0:
        held.append(bytearray(size))
    elif way == 1:
        held.append(bytes(range(256)) * (size // 256))
    elif way == 2:
        touch(libc.malloc(size), size)
    elif way == 3:
        libc.calloc(1, size)  # of which only the first page is touched
    elif way == 4:
        libc.malloc(size)
    elif way == 5:
        touch(aligned(64, size), size)
    elif way == 6:
        touch(libc.realloc(libc.malloc(size), 2 * size + 4096), size)
    elif way == 7:
        held.append([None] * (size // 8))
    else:
        touch(libc.valloc(size), size)


def more():
    for number in range(20):
        take(number)
    return info()


def large_alignments():
    """Blocks that do not begin in the first page of what was mapped for them."""
    for alignment in (1 << 16, 1 << 20, 1 << 22):
        touch(aligned(alignment, 400_000), 400_000)
    return info()


for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else 40):
    take(number)
obey(info(), more=more, align=large_alignments)
