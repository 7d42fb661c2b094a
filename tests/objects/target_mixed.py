"""A heap of everything that a service has: messages as JSON has them, classes, closures, dates.

    target_mixed.py COUNT

About COUNT objects, half as many more died. `truth`: what there is, by `reckoning`.
"""

import ast  # noqa: F401
import collections
import datetime
import decimal
import email.message  # noqa: F401
import fractions
import functools
import gc
import inspect  # noqa: F401
import json
import random
import re
import sys
import tarfile  # noqa: F401
import weakref

from reckoning import obey, reckon

rnd = random.Random(11)
WORDS = "tracker frame box stream élan 東京 session 🎥 url".split()


class Session:
    def __init__(self, number):
        self.number, self.peer = number, None
        self.when = datetime.datetime(2026, 11, 21, number % 24)


class Box:
    __slots__ = ("label", "x", "y")

    def __init__(self, number):
        self.x, self.y, self.label = float(number), number << 20, WORDS[number % 9]


Event = collections.namedtuple("Event", "at what")


def message(number):
    text = {
        "id": "m%d" % number,  # noqa: UP031
        "boxes": [[number * 0.5, number + 300, 7.25], [1.5, None, True]],
        "tags": [WORDS[number % 9] + str(number), {"k%d" % (number % 50): number << 33}],  # noqa: UP031
        "data": "ab0=" * (number % 90),
    }
    return json.loads(json.dumps(text))


def make(number):
    kind = number % 20
    if kind < 6:
        return message(number)
    if kind == 6:
        one = Session(number)
        one.peer = Session(number + 1)
        one.peer.peer = one
        return one
    if kind == 7:
        return [Box(number + index) for index in range(6)]
    if kind == 8:
        return Event(number + 0.25, (number, "e%d" % number))  # noqa: UP031
    if kind == 9:
        return lambda: number
    if kind == 10:
        return {number, "s%d" % number, (number,)}, frozenset((number, 2.5 * number))  # noqa: UP031
    if kind == 11:
        return collections.deque([float(number), bytes(30 + number % 700)])
    if kind == 12:
        return decimal.Decimal(number) / 7, fractions.Fraction(number, 7)
    if kind == 13:
        return functools.partial(make, number), slice(number, None), range(number, number + 9)
    if kind == 14:
        ordered = collections.OrderedDict(a=number)
        return ordered, collections.defaultdict(list, a=[number]), collections.Counter("abc")
    if kind == 15:
        session = Session(number)
        return session, weakref.ref(session), iter([number])
    if kind == 16:
        return (index for index in range(number)), complex(number, 2)
    if kind == 17:
        return bytearray(number % 2000), memoryview(bytes(number % 900))
    if kind == 18:
        return 1 << (64 + number % 9000), "x" * (number % 3000), "é" * (number % 500)
    return re.compile("(a%d)+" % (number % 40)), Exception(number), str(number).encode()  # noqa: UP031


# An element is some nine objects, and two of three survive.
held = [make(number) for number in range(int(sys.argv[1]) // 6)]
held = [one for one in held if rnd.random() < 0.67]
gc.collect()
gc.disable()
obey({"pid": 0}, truth=reckon)
