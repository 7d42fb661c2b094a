"""A program that does one thing to its memory all the time, until it or its parent is killed.

    target_memory.py KIND [MB a second]

objects     parts of messages of which the last one never comes, in a dictionary of the module
frames      large buffers that a list keeps
native      blocks that C forgot to free; `mapped`: of 1 MiB
holes       many small blocks of sizes that drift up, of which every other one is let go
kept        large messages, of which a small piece stays each time, so that malloc keeps the rest
files       a file that grows, and is mapped
table       a dictionary of small numbers
unnamed     anonymous mappings that are shared
segments    shared memory that is closed and never unlinked; `attached`: not even closed
threads     threads that wait for ever
cycles      garbage in cycles, collected by hand every few seconds
cache       a cache that is full after a while
nothing     it is there
"""

import ctypes
import gc
import json
import mmap
import os
import random
import sys
import tempfile
import threading
import time

kind = sys.argv[1]
rate = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
MIB = 1 << 20
PENDING = {}
KEPT = []
rnd = random.Random(7)
begin = time.monotonic()


class Partial:
    def __init__(self, key):
        self.key, self.parts = key, []


class Node:
    def __init__(self):
        self.payload, self.self = bytearray(2000), self


def objects(mib):
    while mib > 0:
        key = len(PENDING)
        partial = PENDING[key] = Partial(key)
        partial.parts += [os.urandom(900) for _ in range(3)]
        mib -= 3100 / MIB


def frames(mib):
    KEPT.extend(bytearray(b"f" * MIB) for _ in range(int(mib)))
    return int(mib)


def native(mib):
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.memset.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
    left = mib * MIB
    while left > 0:
        size = MIB if kind == "mapped" else rnd.randrange(1024, 65536)
        libc.memset(libc.malloc(size), 1, size)
        left -= size


def holes(mib):
    """Each time a bit larger than before, so that no block fits into a hole of earlier ones."""
    size = int(600 * 1.1 ** (time.monotonic() - begin))
    made = [bytes(size + rnd.randrange(size // 60)) for _ in range(int(mib * 2 * MIB / size))]
    KEPT.extend(made[::2])


def kept(mib):
    """Each message is larger than the one before; what stays of it lies above its parts."""
    size = 400_000 + int(300_000 * (time.monotonic() - begin))
    parts = [bytearray(100_000) for _ in range(size // 100_000 * 4)]
    KEPT.append([bytes(part[:5000]) for part in parts[::8]])
    del KEPT[:-40]


def files(mib):
    if not KEPT:
        KEPT.append(tempfile.TemporaryFile())  # noqa: SIM115
    file, size = KEPT[0], int(mib * MIB) & -4096
    file.seek(0, 2)
    place = file.tell()
    file.write(b"c" * size)
    file.flush()
    KEPT.append(mmap.mmap(file.fileno(), size, offset=place & -mmap.ALLOCATIONGRANULARITY))
    KEPT[-1][::4096]
    return size / MIB


def segments(mib):
    from multiprocessing.shared_memory import SharedMemory

    segment = SharedMemory(create=True, size=int(mib * MIB) or 1)
    segment.buf[:] = b"s" * segment.size
    print(json.dumps({"segment": segment.name}), flush=True)
    if kind == "attached":
        KEPT.append(segment)
    else:
        segment.close()


def table(mib):
    for _ in range(int(mib * 11000)):
        PENDING[len(PENDING)] = None


def unnamed(mib):
    for _ in range(int(mib)):
        KEPT.append(mmap.mmap(-1, MIB))
        KEPT[-1][:] = b"u" * MIB
    return int(mib)


def threads(mib):
    def wait():
        wide()
        threading.Event().wait()

    def wide(depth=60):
        return wide(depth - 1) if depth else None

    for _ in range(int(mib * 20)):
        threading.Thread(target=wait, daemon=True).start()


def cycles(mib):
    gc.disable()
    for _ in range(int(mib * 400)):
        Node()
    if int((time.monotonic() - begin) / 3) > len(KEPT):
        KEPT.append(gc.collect())


def cache(mib):
    left = 30 * rate * (1 - 2.7 ** (-(time.monotonic() - begin) / 3))
    while len(PENDING) < left * 500:
        PENDING[len(PENDING)] = os.urandom(2000)


def nothing(mib):
    KEPT[:] = [os.urandom(900) for _ in range(100)]


work = {"mapped": native, "attached": segments}.get(kind) or globals()[kind]
if kind == "threads":
    threading.stack_size(1 << 20)
print(json.dumps({"pid": os.getpid()}), flush=True)
done, parent = 0.0, os.getppid()
while os.getppid() == parent:
    due = rate * (time.monotonic() - begin) - done
    if due >= 0.2 * rate:
        made = work(due)
        done += due if made is None else made
    time.sleep(0.05)
