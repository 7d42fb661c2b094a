"""Which pools are looked at, and what is concluded from some for all.

Pools of each size of blocks are divided into stretches of neighbours, and of each stretch one pool
is taken by lot: objects that were made together lie together, so this is better than any pools at
all, and no step of the program can agree with one of the sample. What was taken is dealt out to
groups, the pool of the next stretch to the next group; how far neighbouring groups are apart says
how far off their sum may be. Counts are scaled by the blocks in use, which are known of all pools.
"""

from __future__ import annotations

import random
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from memtop.anatomy.pymalloc import Pools

GROUPS = 16
LEAST_GROUPS = 4  # from which something is concluded
_LEAST = 2 * GROUPS  # pools of each size of blocks, if there are so many
_TURN = 256  # pools that are looked at together when time is short
# Student's t for 95 % by degrees of freedom; differences of neighbours have two thirds of those
# that as many groups have (von Neumann's estimate of a variance).
_STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)


class Strata:
    """The pools of each size of blocks, in the order of addresses, without the empty ones."""

    def __init__(self, pools: Pools) -> None:
        self.pools = pools
        self.members: dict[int, array[int]] = {}
        self.used: Counter[int] = Counter()
        order = range(pools.count)
        starts = pools.starts
        if any(starts[index] > starts[index + 1] for index in range(pools.count - 1)):
            order = sorted(order, key=starts.__getitem__)  # type: ignore[assignment]
        for index in order:
            size, count = pools.sizes[index], pools.counts[index]
            if count:
                if size not in self.members:
                    self.members[size] = array("I")
                self.members[size].append(index)
                self.used[size] += count

    def sample(self, most: int, rnd: random.Random) -> list[array[int]]:
        """About `most` pools by lot, in groups; all of a size that has few, those in the first."""
        total = sum(len(members) for members in self.members.values())
        groups = [array("I") for _ in range(GROUPS)]
        for members in self.members.values():
            count = len(members)
            if count <= _LEAST:
                groups[0].extend(members)
                continue
            wanted = min(count, max(_LEAST, most * count // total))
            first = rnd.randrange(GROUPS)
            for turn in range(wanted):
                low, high = turn * count // wanted, (turn + 1) * count // wanted
                groups[(first + turn) % GROUPS].append(members[rnd.randrange(low, high)])
        return [self._in_order(group) for group in groups]

    def everything(self) -> Iterator[int]:
        """All pools but the empty ones."""
        counts = self.pools.counts
        return (index for index in range(self.pools.count) if counts[index])

    def turns(self, most: int, rnd: random.Random) -> Iterator[Sequence[int]]:
        """All pools, first those of a sample in its groups, then the others in parts that are
        samples themselves: what was looked at when time is over stands for the rest.
        """
        taken = bytearray(self.pools.count)
        for group in self.sample(most, rnd):
            for index in group:
                taken[index] = 1
            yield group
        rest = {
            size: [index for index in members if not taken[index]]
            for size, members in self.members.items()
        }
        count = -(-sum(map(len, rest.values())) // _TURN)
        turns = [array("I") for _ in range(count)]
        for members in rest.values():
            for low in range(0, len(members), max(1, count)):
                stretch = members[low : low + count]
                lots = rnd.sample(range(count), len(stretch))
                for turn, index in zip(lots, stretch, strict=True):
                    turns[turn].append(index)
        yield from map(self._in_order, turns)

    def _in_order(self, indices: Sequence[int]) -> array[int]:
        return array("I", sorted(indices, key=self.pools.starts.__getitem__))


class Spread:
    """How far off scaled sums may be: of each key the variance of what all have."""

    def __init__(self, seen: Sequence[Mapping[int, int]], used: Mapping[int, int]) -> None:
        """`seen`: blocks in use by size, of each group; `used`: of all pools."""
        self._seen, self._used = seen, used
        freedom = max(1, 2 * len(seen) // 3)
        self._width = _STUDENT[min(freedom, len(_STUDENT)) - 1]
        self.variances: dict[int, float] = {}

    def add(self, size: int, found: Sequence[Mapping[int, int]]) -> None:
        """What each group has of each key in blocks of a size."""
        seen = [group.get(size, 0) for group in self._seen]
        blocks, used = sum(seen), self._used.get(size, 0)
        if not 0 < blocks < used:
            return  # all was looked at
        sums: Counter[int] = Counter()
        for one in found:
            sums.update(one)
        # What was looked at itself is certain.
        scale = (used / blocks) ** 2 * (1 - blocks / used)
        for key, total in sums.items():
            average = total / blocks
            last = found[-1].get(key, 0) - average * seen[-1]
            squares = 0.0
            for group, count in zip(found, seen, strict=True):
                off = group.get(key, 0) - average * count
                squares += (off - last) ** 2
                last = off
            self.variances[key] = self.variances.get(key, 0.0) + scale * squares / 2

    def off(self, keys: Iterable[int], total: float) -> float:
        """How far off the sum of these may be, a share; in 19 of 20 samples it is nearer."""
        variance = sum(self.variances.get(key, 0.0) for key in keys)
        return self._width * variance**0.5 / total if total > 0 else 0.0

    def worst(self, totals: Mapping[int, float], share: float) -> float:
        """The most by which one of those is off that have this share of all."""
        least = share * sum(totals.values())
        return max(
            (self.off((key,), total) for key, total in totals.items() if total >= least),
            default=0.0,
        )
