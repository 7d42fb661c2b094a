"""Constant instances, among which threads take and give back others of the same sizes, flat out.

target_flat_out.py COUNT
"""

import random
import sys
import threading
import time

from reckoning import obey


class Constant:
    __slots__ = ("a", "b", "c")

    def __init__(self):
        self.a = self.b = self.c = None


class Passing:
    __slots__ = ("a", "b", "c")


class Static:
    def __init__(self):
        self.a = None


class Moving:
    def __init__(self):
        self.a = [None]


def churn(seed):
    rnd = random.Random(seed)
    slots = [None] * 20000
    makes = [Passing, Moving, lambda: (None, seed, seed), lambda: {"a": 1}, lambda: [seed] * 9]
    makes += [lambda: bytes(rnd.randrange(500)), lambda: b"x" * 60000, lambda: {seed, None}]
    while True:
        slots[rnd.randrange(len(slots))] = rnd.choice(makes)()


held, between = [], []
for _ in range(int(sys.argv[1])):
    held += [Constant(), Static()]
    between += [Passing(), Moving()]
del between[:]  # every pool has room for what comes and goes
for seed in range(4):
    threading.Thread(target=churn, args=(seed,), daemon=True).start()
time.sleep(0.2)
obey({"Constant": len(held) // 2, "Static": len(held) // 2})
