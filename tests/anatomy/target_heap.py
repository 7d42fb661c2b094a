"""Heaps of many threads, full of holes.

    target_heap.py frames|mixed|buffers|young THREADS MB [SEED]

frames: buffers of 1,920 bytes, random deaths. mixed: of 600 to 4,000 bytes. buffers: 2 to 30 KB, of
which most die, so that trimming helps. young: frames that come and go, so that holes are filled
again, until few of them have a whole page. MB is what has been taken at the most.
"""

import os
import random
import sys
import threading
import time

from answering import obey

FILL = os.urandom(1 << 16)


def size_of(kind, rnd):
    if kind == "mixed":
        return rnd.randrange(600, 4000)
    if kind == "buffers":
        return rnd.randrange(2000, 30000)
    return 1920


def cut(rnd, size):
    """A copy of something: memory that is only cleared may never be touched."""
    start = rnd.randrange(len(FILL) - size)
    return FILL[start : start + size]


def fill(kind, budget, rnd, held):
    taken = 0
    while taken < budget:
        frame = cut(rnd, size_of(kind, rnd))
        held.append(frame)
        taken += len(frame)
    died = 0
    for turn in range(3 if kind == "young" else 1):
        # What died is born again, in the holes, before others die.
        held.extend([cut(rnd, 1920) for _ in range(died)])
        share = 0.75 if kind == "buffers" else 0.5
        before = len(held)
        if kind == "young":
            held[:] = [frame for index, frame in enumerate(held) if index % 3 != turn]
        else:
            held[:] = [frame for frame in held if rnd.random() > share]
        died = before - len(held)


def work(kind, budget, seed, held, ready):
    fill(kind, budget, random.Random(seed), held)
    ready.release()
    threading.Event().wait()


kind, threads, megabytes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
held = [[] for _ in range(threads)]
ready = threading.Semaphore(0)
for number in range(threads):
    budget = (megabytes << 20) // threads
    work_on = (kind, budget, 1000 * seed + number, held[number], ready)
    threading.Thread(target=work, args=work_on, daemon=True).start()
for _ in range(threads):
    ready.acquire()
time.sleep(0.05)  # until the last of them waits
obey({"blocks": sum(map(len, held))})
