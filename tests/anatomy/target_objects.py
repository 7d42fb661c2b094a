"""Many small Python objects, of which some died: pools that are full, partly free, and empty.

    target_objects.py COUNT [full]

`full`: nothing dies. CPython 3.6 and later.
"""

import random
import sys

from answering import obey


class Thing:
    __slots__ = ("a", "b", "c")


def make(number):
    kind = number % 6
    if kind == 0:
        return "text %d " % number * (1 + number % 9)  # noqa: UP031
    if kind == 1:
        return bytes(20 + number % 400)
    if kind == 2:
        return float(number)
    if kind == 3:
        return (number, str(number))
    if kind == 4:
        thing = Thing()
        thing.a, thing.b, thing.c = number, [number], {number: None}
        return thing
    return 1 << 70 | number


rnd = random.Random(3)
count = int(sys.argv[1])
held = [make(number) for number in range(count)]
if "full" not in sys.argv:
    third = count // 3
    held[:third] = [one for one in held[:third] if rnd.random() < 0.4]
    del held[len(held) - third :]  # neighbours: whole pools become empty
obey({"objects": len(held)})
