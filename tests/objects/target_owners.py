"""Big blocks, each of which malloc maps by itself, and whose they are.

    target_owners.py plain|frames

frames: arrays of numpy, beside views of them that own nothing.
"""

import array
import collections
import random
import sys

from reckoning import libc, obey

libc.mallopt(-3, 128 << 10)  # M_MMAP_THRESHOLD, which rises by itself when a block is freed
rnd = random.Random(13)
kind = sys.argv[1]
held, said = [], {}


def size():
    return rnd.randrange(150_000, 3_000_000)


def keep(name, make, count):
    sizes = [size() for _ in range(count)]
    made = [make(each) for each in sizes]
    held.append(made)
    said[name] = [count, sum(sizes)]


class Frames(list):
    pass


def native(size):
    address = libc.malloc(size)
    libc.memset(address, 0xA5, size)
    return address


def keys(size):
    """What makes a dictionary or a set of about that size."""
    return range(size // 32)


if kind == "plain":
    keep("bytearray", lambda size: bytearray(b"x") * size, 40)
    keep("bytes", lambda size: b"y" * size, 30)
    keep("str", lambda size: "z" * size if size % 2 else "東" * (size // 2), 30)
    keep("list", lambda size: [None] * (size // 8), 10)
    keep("Frames", lambda size: Frames([None] * (size // 8)), 3)
    keep("tuple", lambda size: (None,) * (size // 8), 5)
    keep("int", lambda size: 1 << (size // 4 * 30), 2)
    keep("dict", lambda size: dict.fromkeys(keys(size)), 6)
    keep("set", lambda size: set(keys(size)), 5)
    keep("frozenset", lambda size: frozenset(keys(size)), 2)
    keep("array", lambda size: array.array("B", bytes(size)), 2)
    keep("native or unknown", native, 3)
    counter = collections.Counter(range(20_000))
    counter.popitem()
    held.append(counter)
    said["Counter"] = [1, None]
    for name in ("dict", "set", "frozenset"):
        said[name][1] = None  # known by its own account only
else:
    try:
        import numpy
    except ImportError as error:
        said = {"trouble": str(error)}
    else:
        base = [numpy.full((480, 640, 3), number, numpy.uint8) for number in range(50)]
        held += [base, [frame[10:20] for frame in base], [frame.T for frame in base]]
        held.append([numpy.full((500, 100), number, numpy.float64) for number in range(10)])
        held.append(native(777_777))
        said["ndarray"] = [60, 50 * 480 * 640 * 3 + 10 * 500 * 100 * 8]
        said["native or unknown"] = None
obey(said)
