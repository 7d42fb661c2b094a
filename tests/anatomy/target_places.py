"""A process with memory of one unusual kind.

    target_places.py KIND [MB]

untouched   a mapping of 256 MB that is never touched, one that is only read, one that is emptied
huge        memory with huge pages, of which little is used (MADV_HUGEPAGE), some shared
blocked     a heap that cannot grow by brk, because something lies behind it
foreign     somebody else uses sbrk between the blocks of malloc
forged      memory that looks like blocks, pools and arenas, and is none
stacks      threads that use much of their stacks, and one with a stack of its own
mallopt     thresholds that were set
child       what the parent wrote is shared with a child, which answers
shared      shared memory, a file that is mapped, and private copies of its pages
"""

import ctypes
import mmap
import os
import struct
import sys
import tempfile
import threading

from answering import MAP_FIXED_NOREPLACE, PROT_NONE, info, libc, map_pages, obey

MADV_HUGEPAGE, MADV_DONTNEED = 14, 4
kind = sys.argv[1]
megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 30
held, said, commands = [], {}, {}
FILL = os.urandom(1 << 16)


def small_blocks(size, step=3):
    """Blocks of some hundred bytes, of which every third dies, in the arena of this thread."""
    blocks, number = [], 0
    while size > 0:
        length = 600 + number % 900
        blocks.append(FILL[number % 4096 : number % 4096 + length])
        size -= length
        number += 1
    del blocks[::step]
    held.append(blocks)


def heap():
    with open("/proc/self/maps") as file:
        for line in file:
            if line.rstrip().endswith("[heap]"):
                return tuple(int(part, 16) for part in line.split()[0].split("-"))
    raise LookupError("no heap")


def untouched():
    size = 256 << 20
    said["never"], said["read"] = map_pages(size), map_pages(16 << 20)
    said["emptied"] = map_pages(16 << 20)
    for offset in range(0, 16 << 20, 4096):
        ctypes.string_at(said["read"] + offset, 1)
    libc.memset(said["emptied"], 1, 16 << 20)
    libc.madvise(said["emptied"], 16 << 20, MADV_DONTNEED)
    held.append(bytearray(2 << 20))


def huge():
    with open("/sys/kernel/mm/transparent_hugepage/enabled") as file:
        if "[never]" in file.read():
            raise OSError("no huge pages here")
    size = megabytes << 20
    start = map_pages(size + (2 << 20))
    start += -start % (2 << 20)
    libc.madvise(start, size, MADV_HUGEPAGE)
    # 100 bytes in every huge page; the fourth is full.
    for number, address in enumerate(range(start, start + size, 2 << 20)):
        libc.memset(address, 1, 2 << 20 if number % 4 == 3 else 100)
    used = size // (2 << 20)
    said.update(
        start=start,
        size=size,
        zero_bytes=sum((2 << 20) - 4096 for number in range(used) if number % 4 != 3),
    )


def blocked():
    end = heap()[1]
    said["behind"] = map_pages(4096, end, PROT_NONE, MAP_FIXED_NOREPLACE)
    said["heap_end"] = end
    small_blocks(megabytes << 20)
    assert heap()[1] <= end


def foreign():
    for _ in range(4):
        small_blocks((megabytes << 20) // 4)
        place = libc.sbrk(300_000)
        libc.memset(place, 0x55, 300_000)
        # So that malloc has to ask for more behind it.
        held.append(bytes(bytearray(100_000)))
    small_blocks(4 << 20)


def forged():
    said["alignment"] = 8 if sys.version_info < (3, 7) else 16
    area = map_pages(16 << 20)
    area += -area % (1 << 14)
    pool_bytes = 4096 if sys.version_info < (3, 10) else 1 << 14
    count = (pool_bytes - 48) // 32
    # Full of blocks of 32 bytes: count, freeblock, next, prev, arena, size class, offsets.
    pool = struct.pack(
        "=I4xQQQ4I",
        count,
        0,
        0,
        0,
        0,
        32 // said["alignment"] - 1,
        48 + 32 * count,
        pool_bytes - 32,
    )
    for number in range(500):
        page = area + (number << 14)
        if number % 2:  # like a block of two pages that was mapped by itself
            ctypes.memmove(page, struct.pack("=2Q", 0, 8192 | 2) + FILL[:8000], 8016)
        else:
            ctypes.memmove(page, pool + FILL[: pool_bytes - 48], pool_bytes)
    # Bins that are empty, like those of an arena.
    at = map_pages(1 << 16)
    words = [0] * 280
    words[20:274] = [at + 8 * (20 + index // 2 * 2) - 16 for index in range(254)]
    ctypes.memmove(at, struct.pack("=280Q", *words), 8 * 280)
    held.append([FILL[number : number + 900] for number in range(5000)])
    said["area"] = area


def stacks():
    def deep(number):
        if number:  # through a function in C, which takes some of the stack
            return sorted([number - 1], key=deep)
        ready.release()
        threading.Event().wait()

    ready = threading.Semaphore(0)
    sys.setrecursionlimit(5000)
    threading.stack_size(16 << 20)
    for _ in range(6):
        threading.Thread(target=deep, args=(200,), daemon=True).start()
    for _ in range(6):
        ready.acquire()


def mallopt():
    libc.mallopt(-3, 1 << 20)  # M_MMAP_THRESHOLD
    libc.mallopt(-1, 3 << 20)  # M_TRIM_THRESHOLD
    libc.mallopt(-2, 1 << 19)  # M_TOP_PAD
    libc.mallopt(-8, 3)  # M_ARENA_MAX
    held.append(bytearray(2 << 20))


def child():
    held.append(bytearray(FILL * ((megabytes << 20) // (2 * len(FILL)))))
    small_blocks((megabytes << 20) // 2)
    parent, this = os.pipe(), os.getpid()
    if os.fork():
        os.close(parent[1])
        os.close(0)
        os.wait()
        os._exit(0)
    said.update(pid=os.getpid(), parent=this)


def shared():
    memory = mmap.mmap(-1, 8 << 20)
    memory.write(FILL * 128)
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(FILL * 64)
    file.flush()
    private = mmap.mmap(file.fileno(), 4 << 20, flags=mmap.MAP_PRIVATE)
    held.extend([memory, file, private, sum(private[::4096])])
    private[: 1 << 20] = FILL * 16


try:
    globals()[kind]()
except OSError as error:
    said = {"trouble": str(error)}
said.update(info())
obey(said)
