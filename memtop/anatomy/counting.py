"""Counting objects: where they lie and which types there are is found first, then blocks are read.

Pools are read and forgotten one window after the other, so that little memory is needed; the blocks
of malloc are walked through twice, because the types of objects lie in them as well. Large blocks
of which no owner was seen in a sample are searched for in all pools, as long as there is time.
Sizes are bytes, times seconds.
"""

from __future__ import annotations

import random
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from memtop import units
from memtop.anatomy import layout as layouts
from memtop.anatomy.anatomy import Pace
from memtop.anatomy.buffers import LARGE, POINTERS, Buffers, Counts
from memtop.anatomy.chunks import walk
from memtop.anatomy.columns import Search, count_blocks, count_objects
from memtop.anatomy.ground import find_ground, has_hooks, read_pools
from memtop.anatomy.image import WORD
from memtop.anatomy.layout import Layout, References
from memtop.anatomy.owners import HEADER as GIVEN
from memtop.anatomy.owners import Large
from memtop.anatomy.result import Missing
from memtop.anatomy.sampling import GROUPS, LEAST_GROUPS, Strata
from memtop.anatomy.subject import Subject
from memtop.anatomy.types import Candidates, Types, find_types
from memtop.errors import MemtopError
from memtop.target.python import Python

# More than this are sampled: pools of 16 KiB, or as many bytes of smaller ones.
MOST_POOLS = 4096
_MOST_BYTES = MOST_POOLS * (16 << 10)
_SAMPLE = {4 << 10: 2 * MOST_POOLS, 16 << 10: MOST_POOLS}  # by their size
_JOINED = 1 << 14  # words of blocks of one size that are looked at together
_GLANCE = 512
_GAP = 64 << 10  # between pools that are searched, which costs less than another read
_SEARCH_S = 0.75  # for owners of large blocks outside the sample
_WORTHWHILE = 1 << 20  # bytes of those; each process has some small ones that are nobody's
_LEAST_OBJECT, _LEAST_LARGE = 32, 528  # bytes of a block of malloc that has an object
_FOLLOWING = 32  # words of a block that are looked at, at the most
# Gets words, at which of them blocks begin, the sizes of those, and the address of the first word.
_Handle = Callable[[Sequence[int], Sequence[int], Sequence[int], int], None]


class Counting:
    """Counts the objects of an open process; `run` once, then everything it has is the answer.

    `seen`, `groups`: blocks in use that were looked at, and what was counted among them, by group
    of pools and by size. `apart`: what lies in malloc's blocks. `in_chunks_bytes`: how much of
    those objects take, `in_use_bytes` how much is in use of all arenas. `is_cut`: time was over.
    """

    def __init__(
        self,
        subject: Subject,
        python: Python,
        layout: Layout,
        pace: Pace,
        *,
        full: bool,
        until: float | None,
        memory_bytes: int = 0,
    ) -> None:
        """`memory_bytes`: what of the process is in memory or in swap, 0 if that is not known."""
        self._subject, self._pace, self._full, self._until = subject, pace, full, until
        self._image = subject.image
        self._python, self._layout = python, layout
        self._references = References(layout.version, memory_bytes)
        self.missing: list[Missing] = []
        self.seen: list[Counter[int]] = []  # blocks in use, by group and size
        self.groups: list[dict[int, Counts]] = []
        self.apart = Counts()  # what lies in malloc's blocks
        self.in_use_bytes = self.in_chunks_bytes = 0
        self.is_cut = self._is_hooked = False

    def run(self) -> None:
        """Count everything."""
        subject = self._subject
        self._ground = find_ground(subject, self._layout.version)
        self.strata = Strata(self._ground.pools)
        self._lead = layouts.HOOK if has_hooks(self._image, self._ground.pools) else 0
        self.is_glibc = subject.allocator.name == "glibc" and bool(self._ground.places)
        self.large = Large()
        self.types = self._find_types()
        spans = [(region.start, region.end) for region in subject.anonymous]
        self.buffers = Buffers(
            self.types,
            subject.memory,
            self.large,
            spans,
            self.is_glibc,
            has_pools=self._ground.has_pools,
        )
        if not self.is_glibc:
            name = subject.allocator.name or "an allocator that is not known"
            self.missing.append(
                Missing("large objects", f"{name} serves malloc, and its blocks are not read")
            )
        least = _LEAST_LARGE if self._ground.has_pools else _LEAST_OBJECT
        pools = self._ground.pools
        pool_bytes = pools.count * self._layout.pool
        self.is_sampled = not self._full and pool_bytes > _MOST_BYTES
        if self.is_sampled:
            pool_bytes = _SAMPLE[self._layout.pool] * self._layout.pool
        self._pace.plan(self._walked_bytes + pool_bytes)
        self._count_big()  # first, so that all large blocks are known
        self._walk(least, self._count_chunks)
        self._count_pools()
        if self.is_sampled or self.is_cut:
            self._find_owners()

    # --- what there is ---------------------------------------------------------------------------

    def _find_types(self) -> Types:
        layout, ground = self._layout, self._ground
        # A type takes part in the collection of garbage.
        self._candidates = Candidates((layout.gc + WORD) // WORD)
        self._walk(_LEAST_OBJECT, self._gather)
        if not self.is_glibc:
            self._candidates.scan(self._image, ground.rest)
        types = find_types(self._subject, self._python, layout, self._candidates, self._references)
        if types is None:
            raise MemtopError(f"the types of the Python in {self._subject.pid} were not found")
        del self._candidates
        return types

    def _walk(self, least: int, handle: _Handle) -> None:
        """Handle all blocks in use of malloc from a size on, many at once."""
        image = self._image

        def visit(words: array[int], count: int, heads: list[int], at: int) -> None:
            starts = [
                head + 1
                for head, after in pairwise(heads)
                if words[head] >= least and words[after] & 1
            ]
            last = heads[-1]
            following = at + WORD * (last - 1) + (words[last] & ~7)
            is_used = int.from_bytes(image.head(following + WORD, WORD), "little") & 1
            if is_used and words[last] >= least:
                starts.append(last + 1)
            sizes = [words[start - 1] & ~7 for start in starts]
            # What begins at the end of the window goes on behind it.
            late = []
            while starts and starts[-1] + _FOLLOWING > count:
                late.append((at + WORD * starts.pop(), sizes.pop()))
            handle(words, starts, sizes, at)
            for address, size in late:
                handle(image.words(address, _FOLLOWING), [0], [size], address)

        walks = [walk(image, place, visit=visit) for place in self._ground.places]
        self._walked_bytes = sum(one.walked_bytes for one in walks)

    def _gather(
        self, words: Sequence[int], starts: Sequence[int], sizes: Sequence[int], at: int
    ) -> None:
        """Blocks that may be types, and the large ones."""
        self.in_use_bytes += sum(sizes)
        big = [start for start, size in zip(starts, sizes, strict=True) if size > _LEAST_LARGE]
        if not self._is_hooked and big:
            self._is_hooked = layouts.is_hooked([words[start + 1] for start in big])
        if self._is_hooked:
            big = [layouts.unhooked(words, start) for start in big]
        self._candidates.add(words, big, at)
        if max(sizes, default=0) >= LARGE:
            for start, size in zip(starts, sizes, strict=True):
                if size >= LARGE:
                    asked = layouts.unhooked(words, start) if self._is_hooked else start
                    self.large.add(at + WORD * start, size, at + WORD * asked)

    # --- counting --------------------------------------------------------------------------------

    def _count_chunks(
        self, words: Sequence[int], starts: Sequence[int], sizes: Sequence[int], at: int
    ) -> None:
        """Objects in malloc's blocks."""
        if self._is_hooked:
            starts = [layouts.unhooked(words, start) for start in starts]
        found = count_objects(self.types, self.buffers, words, starts, sizes, self.apart)
        for index, address in found:
            self.in_chunks_bytes += sizes[index]
            if sizes[index] >= LARGE:
                self.large.own(at + WORD * starts[index], address, is_inside=True)

    def _count_big(self) -> None:
        """Objects that have a big block."""
        for start, end in self._ground.blocks:
            resident = self._subject.pages.resident_bytes(start, end)
            pointer = start + GIVEN
            words = self._image.words(pointer, _FOLLOWING)
            first = layouts.unhooked(words, 0)
            self.large.add_big(pointer, resident, pointer + WORD * first)
            found = count_objects(
                self.types, self.buffers, words, [first], [end - start], self.apart
            )
            for _, address in found:
                # What of it is resident is added with the blocks.
                self.apart.bytes[address] -= end - start
                self.large.own(pointer, address, is_inside=True)

    def _count_pools(self) -> None:
        strata, most, lots = self.strata, _SAMPLE[self._layout.pool], random.Random()
        if not strata.used:
            return
        groups: Iterable[Iterable[int]]
        if self.is_sampled:
            groups = strata.sample(most, lots)
        elif self._until is None:
            groups = [strata.everything()]
        else:
            groups = strata.turns(most, lots)
        for number, group in enumerate(groups):
            if not self._count_group(group, number):
                break
        if self.is_cut and len(self.groups) < LEAST_GROUPS:
            # Where even finding everything took all the time, a glance is better than nothing.
            self._until, self.seen, self.groups = None, [], []
            for number, group in enumerate(strata.sample(_GLANCE, lots)):
                self._count_group(group, number)

    def _is_late(self) -> bool:
        if self._until is None or time.monotonic() < self._until:
            return False
        self.is_cut = True
        return True

    def _count_group(self, group: Iterable[int], number: int) -> bool:
        """Count a group, or what is added to an earlier one; whether there was time for all of it.

        A part of one is no sample, and is forgotten.
        """
        counts: dict[int, Counts] = {}
        seen: Counter[int] = Counter()

        def count(size: int, words: array[int]) -> None:
            if size not in counts:
                counts[size] = Counts()
            count_blocks(self.types, self.buffers, size, words, counts[size], self._lead)

        joined: dict[int, array[int]] = {}
        for size, blocks, words in self._blocks(group):
            seen[size] += blocks
            if size not in joined:
                joined[size] = array("Q")
            joined[size] += words
            if len(joined[size]) >= _JOINED:
                count(size, joined.pop(size))
        if self._is_late():
            return False
        for size, words in joined.items():
            count(size, words)
        if number < GROUPS:
            self.seen.append(seen)
            self.groups.append(counts)
            return True
        self.seen[number % GROUPS].update(seen)
        own = self.groups[number % GROUPS]
        for size, found in counts.items():
            if size in own:
                own[size].add(found)
            else:
                own[size] = found
        return True

    def _blocks(self, group: Iterable[int], gap: int = 0) -> Iterator[tuple[int, int, array[int]]]:
        for found in read_pools(self._image, self._ground.pools, self._layout.pool, group, gap):
            if self._is_late():
                return
            yield found

    def _find_owners(self) -> None:
        """Look for the owners of large blocks outside the sample, or say that some have none."""
        _, size = self.large.unowned()
        if not self.is_cut and size >= _WORTHWHILE and self._search_owners():
            return
        count, size = self.large.unowned()
        if count:
            self.missing.append(
                Missing(
                    "owners",
                    f"{count} large blocks, {units.size(size / 1024)} in all, have none among the"
                    " objects that were looked at",
                    command=f"memtop census {self._subject.pid} --full",
                )
            )

    def _search_owners(self) -> bool:
        """Whether there was time for all pools."""
        members, spots = self.strata.members, self._spots()
        until = time.monotonic() + _SEARCH_S
        until = until if self._until is None else min(until, self._until)
        search = Search(self.types, self.buffers, self.large.wanted)
        # What is done quickly goes first.
        for size in sorted(spots.keys() & members.keys(), key=lambda one: len(members[one])):
            joined = array("Q")
            for other, _, words in self._blocks(members[size], _GAP):
                if not self.large.wanted:
                    return True
                if time.monotonic() > until:
                    return False
                if other == size:
                    joined += words
                if len(joined) >= _JOINED:
                    search.look(size, joined, spots[size])
                    joined = array("Q")
            search.look(size, joined, spots[size])
        return not self.is_cut

    def _spots(self) -> dict[int, set[tuple[int, int]]]:
        """By size of blocks: where objects that own buffers have the pointers to their type and to
        their buffer.
        """
        spots: dict[int, set[tuple[int, int]]] = defaultdict(set)
        sizes: dict[int, set[int]] = defaultdict(set)
        for group in self.groups:
            for size, counts in group.items():
                for address in counts.objects:
                    sizes[address].add(size)
        for address, one in self.types.by_address.items():
            word = POINTERS.get(self.types.kind(address) or "")
            if word is None:
                continue
            # Objects of C have a fixed size; those that are rare may be in no pool of the sample.
            head, least = one.head + self._lead, one.least + self._lead
            for size in sizes[address] | {least + 7 & -8, least + 15 & -16}:
                spots[size].add(((head + WORD) // WORD, head // WORD + word))
        return spots
