"""Objects of known classes in known numbers, among many that died.

    target_known.py COUNT

`more` makes COUNT objects of each of some built-in types, and says the numbers.
"""

import gc
import random
import sys
from collections import deque, namedtuple

from reckoning import obey

count = int(sys.argv[1])
rnd = random.Random(7)
gc.disable()  # so that it is known which garbage there is


class Plain:
    def __init__(self, number):
        self.number, self.name = number, None


class Empty:
    def __init__(self, number):
        pass


class Wide:
    def __init__(self, number):
        for index in range(40):
            setattr(self, "field%d" % index, None)  # noqa: UP031


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, number):
        self.a = self.b = None


class Slim:  # no field at all: older Pythons do not even track it
    __slots__ = ()

    def __init__(self, number):
        pass


class Weak:
    __slots__ = ("__weakref__", "a")

    def __init__(self, number):
        self.a = None


class Child(Slotted):
    pass


class Meta(type):
    pass


class Made(metaclass=Meta):
    def __init__(self, number):
        self.number = None


class Number(int):
    pass


class Huge(int):
    def __new__(cls, number):
        return int.__new__(cls, 1 << 9000)


class Text(str):
    pass


class Long(bytes):  # too large for pymalloc
    def __new__(cls, number):
        return bytes.__new__(cls, 700 + number % 3000)


class Table(dict):
    def __init__(self, number):
        dict.__init__(self, dict.fromkeys(range(number % 70)))


class Items(list):
    def __init__(self, number):
        list.__init__(self, (None,) * (number % 100))


class Bag(set):
    def __init__(self, number):
        set.__init__(self, range(number % 60))


class Raw(bytearray):
    def __init__(self, number):
        bytearray.__init__(self, number % 900)


class Queue(deque):
    def __init__(self, number):
        deque.__init__(self, (None,))


class Row(tuple):
    def __new__(cls, number):
        return tuple.__new__(cls, (None,) * (number % 200))


class Trouble(Exception):
    def __init__(self, number):
        Exception.__init__(self)


class Loose:  # garbage that nobody has collected
    def __init__(self, number):
        self.itself = self


Pair = namedtuple("Pair", "a b")
Parsed = type("Parsed", (), {"__slots__": ("a",), "__module__": "shop.tracker"})


def local():
    class Hidden:
        def __init__(self, number):
            self.number = None

    return Hidden


KINDS = [Plain, Empty, Wide, Slotted, Slim, Weak, Child, Made, Number, Huge, Text, Long, Table]
KINDS += [Items, Bag, Raw, Queue, Row, Trouble, local()]
try:
    from dataclasses import dataclass
except ImportError:  # 3.6
    pass
else:

    @dataclass
    class Point:
        x: int
        y: None = None

    KINDS.append(Point)
LARGE = {"Wide": 10, "Huge": 10, "Long": 10, "Row": 10, "Queue": 4, "Bag": 10, "Table": 10}
LARGE.update(Items=10, Raw=10)


def survivors(make, number):
    """So many that live on, out of half as many more."""
    made = [make(index) for index in range(number + number // 2)]
    dying = set(rnd.sample(range(len(made)), number // 2))
    return [one for index, one in enumerate(made) if index not in dying]


held, counts = [], {}
for kind in KINDS:
    counts[kind.__name__] = count // LARGE.get(kind.__name__, 1)
    held.append(survivors(kind, counts[kind.__name__]))
held.append(survivors(lambda number: Pair(None, None), count))
held.append(survivors(lambda number: Parsed(), count))
for number in range(count // 10):
    Loose(number)
counts.update(Pair=count, Parsed=count, Loose=count // 10)

BUILT_IN = {
    "str": lambda number: "text %d" % number * (number % 60),  # noqa: UP031
    "bytes": lambda number: bytes(40 + number % 900),
    "int": lambda number: 1 << 40 | number,
    "float": lambda number: number + 0.5,
    "complex": lambda number: complex(number, 1),
    "list": lambda number: [None] * (number % 9),
    "tuple": lambda number: (None,) * (3 + number % 9),
    "dict": lambda number: {None: None},
    "set": lambda number: {None, True},
    "frozenset": lambda number: frozenset((None, number % 2)),
    "deque": lambda number: deque(maxlen=3),
    "bytearray": lambda number: bytearray(number % 900),
    "object": lambda number: object(),
}


def more():
    """Those that are shared (an empty string, a frozenset of the same) are made once each."""
    for make in BUILT_IN.values():
        held.append([make(number) for number in range(count)])
    new = held[-len(BUILT_IN) :]
    return {name: len(set(map(id, made))) for name, made in zip(BUILT_IN, new)}  # noqa: B905


def beside(kind):
    """Bytes that the objects of a type own beside themselves, as they say."""
    made = next(each for each in held if type(each[0]) is kind)
    return sum(kind.__sizeof__(one) - object.__sizeof__(one) for one in made)


buffers = {kind.__name__: beside(kind) for kind in (Table, Items, Bag, Raw)}
sizes = {kind.__name__: sys.getsizeof(kind(0)) for kind in (Slotted, Slim, Weak)}
obey({"counts": counts, "buffers": buffers, "sizes": sizes}, more=more)
