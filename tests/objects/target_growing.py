"""A program whose memory grows by some MB whenever it is told to, in one way.

    target_growing.py messages|frames|native|mapped|steady MB

messages    parts of messages of which the last one never comes, in a dictionary of the module
frames      streams of frames that are let go, held by cycles that nobody collects (numpy)
native      blocks of 1 to 64 kB that C forgot to free
mapped      the same with blocks of 1 MiB
steady      all is given back at once
"""

import os
import random
import sys

from reckoning import libc, obey

kind, megabytes = sys.argv[1], int(sys.argv[2])
rnd = random.Random(17)
PENDING = {}
STATIC = dict.fromkeys(range(1000))


class Partial:
    def __init__(self, key):
        self.key, self.parts, self.sender = key, [], {"from": "10.0.0.%d" % (len(key) % 250)}  # noqa: UP031


class Stream:
    def __init__(self, number):
        self.frames = [numpy.full((480, 640, 3), number, numpy.uint8) for _ in range(4)]
        self.next_frame = lambda: self.frames[0]


def messages():
    for _ in range(megabytes * 350):
        key = "m%d" % len(PENDING)  # noqa: UP031
        partial = PENDING.setdefault(key, Partial(key))
        partial.parts += [os.urandom(900) for _ in range(3)]


def frames():
    for number in range(megabytes // 4):
        Stream(number)


def native():
    left = megabytes << 20
    while left > 0:
        size = 1 << 20 if kind == "mapped" else rnd.randrange(1024, 65536)
        libc.memset(libc.malloc(size), 1, size)
        left -= size


def steady():
    del [os.urandom(900) for _ in range(megabytes << 10)][:]


work = {"messages": messages, "frames": frames, "steady": steady}.get(kind, native)
said = {}
if kind == "frames":
    try:
        import numpy
    except ImportError as error:
        said = {"trouble": str(error)}


def grow():
    work()
    return {"pending": len(PENDING)}


if "trouble" not in said:
    grow()
obey(said, grow=grow)
