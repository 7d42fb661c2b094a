"""RSS of the whole app with all tiers of N histories full, fed faster than real time."""

from __future__ import annotations

import asyncio
import sys

from memtop.model.query import View
from memtop.model.tracker import Tracker
from memtop.probe.fake import crowd
from memtop.probe.sample import Wanted
from memtop.tui.app import MemtopApp


def rss_mib() -> float:
    """Resident memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4 / 1024


async def main(count: int) -> None:
    """A day in steps of 5 minutes, two hours in steps of 15 s, then ticks of a second on screen."""
    source = crowd(count, changing=count)
    tracker = Tracker()
    for step_s, steps in ((300.0, 290), (15.0, 490)):
        source._step_s = step_s
        for _ in range(steps):
            state = tracker.feed(source.sample(Wanted()))
    source._step_s = 1.0
    app = MemtopApp(source, tracker, state, View(), sampling=False)
    async with app.run_test(size=(160, 48)) as pilot:
        for tick in range(310):
            app.feed()
            if tick % 10 == 0:
                await pilot.pause()
        sizes = {len(tracked.history._cells) for tracked in tracker._tracked.values()}
        print(f"N={count}: RSS {rss_mib():.1f} MiB; entries a history: {sorted(sizes)}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000))
