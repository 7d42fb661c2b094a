"""All values at one sample, and the way from one sample to another.

It begins at the sample of its five minutes that says everything, and applies the changes up to
where it is asked to go; one step forward applies one sample. Values are in the units of
`quantities`, objects are named by their numbers.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict

from memtop.recording.codec import unpack
from memtop.recording.opening import Damaged
from memtop.recording.quantities import PAGE_KIB
from memtop.recording.quantities import Quantity as Q
from memtop.recording.reading import Shelf, Tick

Points = dict[int, list[tuple[int, int]]]  # by object: from which sample on how many KiB
KEPT_TICKS = 1500
_QUANTITIES = frozenset(Q)


class Stretch:
    """The memory of all objects over one segment: its samples and what changed when."""

    __slots__ = ("buckets", "clocks", "first_tick", "points")

    def __init__(self, first_tick: int) -> None:
        self.first_tick = first_tick
        self.buckets: list[int] = []  # of each of its samples,
        self.clocks: list[float] = []  # and the clock then
        self.points: Points = defaultdict(list)


class Cursor:
    """Values of one recording at one sample; `values[quantity][object]`.

    `moved[object]` is a sample to which it came with a change of anything about it: that sample
    again means that the object is the same again.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self.values: dict[int, dict[int, int]] = {}
        self.moved: dict[int, int] = {}
        self.now: Tick | None = None
        self.index = -1
        self.stretch = Stretch(0)

    def go(self, tick: int) -> Tick:
        """Go to a sample; Damaged if the way there is."""
        shelf = self._shelf
        index = shelf.segment_at(tick)
        now = self.now
        if now is None or index != self.index or tick < now.tick:
            begin = shelf.segments[index].tick
            self.values = {quantity: {} for quantity in _QUANTITIES}
            self.moved = {}
            self.index, self.stretch = index, Stretch(begin)
            ticks = shelf.ticks_of(index, tick)
        else:
            ticks = shelf.ticks(now.tick + 1, tick)
        self.now = None  # a way that breaks off leads nowhere
        unit = 1 if shelf.run_of(tick).exact else PAGE_KIB
        touched: set[int] = set()
        for one in ticks:
            apply(one, self.values, touched, self.stretch, unit)
            now = one
        self.moved.update(dict.fromkeys(touched, tick))
        assert now is not None
        self.now = now
        return now


def apply(
    one: Tick,
    values: dict[int, dict[int, int]],
    touched: set[int],
    stretch: Stretch,
    unit: int,
) -> None:
    """Let the changes of a sample happen; Damaged if they make no sense.

    `touched` takes whom they are about, `stretch` what the memory of those whose memory changed is
    now; `unit`: of that, in KiB.
    """
    gone: list[int] = []
    if one.is_whole:
        for known in values.values():
            known.clear()
    stretch.buckets.append(one.bucket)
    stretch.clocks.append(one.clock_s)
    points, tick = stretch.points, one.tick
    try:
        for quantity, objects, steps in unpack(one.changes):
            known_now = values.get(quantity)
            if known_now is None:
                continue  # of a later version of memtop
            numbers = list(objects)
            touched.update(numbers)
            get = known_now.get
            if isinstance(steps, list):  # some are not known any more
                lost = [one for one, step in zip(numbers, steps, strict=True) if step is None]
                for number in lost:
                    known_now.pop(number, None)
                if quantity == Q.WORDS:
                    gone += lost
            if quantity == Q.RSS:
                for number, step in zip(numbers, steps, strict=True):
                    if step is not None:
                        value = known_now[number] = get(number, 0) + step
                        points[number].append((tick, value * unit))
                continue
            for number, step in zip(numbers, steps, strict=True):
                if step is not None:
                    known_now[number] = get(number, 0) + step
    except ValueError as error:
        raise Damaged(f"a sample is damaged: {error}") from None
    if one.is_whole:
        gone = [number for number in touched if number not in values[Q.WORDS]]
    for number in gone:
        for known in values.values():
            known.pop(number, None)
    touched.difference_update(gone)


class Stretches:
    """The memory of all objects over segments, of which the last ones asked for are kept.

    Several threads may ask.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._kept: OrderedDict[tuple[int, int], Stretch] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, index: int) -> Stretch:
        """A whole segment; Damaged if it cannot be read."""
        with self._lock:
            return self._get(index)

    def _get(self, index: int) -> Stretch:
        shelf = self._shelf
        last = shelf.last_of(index)
        key = (index, last)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        segment = shelf.segments[index]
        stretch = Stretch(segment.tick)
        unit = 1 if shelf.run_of(segment.tick).exact else PAGE_KIB
        rss: dict[int, int] = {}
        points = stretch.points
        try:
            for one in shelf.ticks_of(index, last):
                stretch.buckets.append(one.bucket)
                stretch.clocks.append(one.clock_s)
                for quantity, objects, steps in unpack(one.changes):
                    if quantity != Q.RSS:
                        continue
                    for number, step in zip(objects, steps, strict=True):
                        if step is None:
                            continue
                        kib = rss[number] = rss.get(number, 0) + step
                        points[number].append((one.tick, kib * unit))
        except ValueError as error:
            raise Damaged(f"a sample is damaged: {error}") from None
        self._kept[key] = stretch
        ticks = sum(len(one.buckets) for one in self._kept.values())
        while ticks > KEPT_TICKS and len(self._kept) > 2:
            _, gone = self._kept.popitem(last=False)
            ticks -= len(gone.buckets)
        return stretch
