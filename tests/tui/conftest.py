"""An app over a fake source, with no thread and no terminal."""

import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from tests_support import app_over, service

from memtop.tui import verdicts

verdicts.load()  # on a screen a thread does it, some frames after a pane was opened


@pytest.fixture
def source():
    return service()


@pytest.fixture
def app(source):
    return app_over(source)


class Looker:
    """What a person sees on a screen."""

    def __init__(self, app, pilot):
        self.app, self.pilot = app, pilot

    async def press(self, *keys):
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def tick(self, times=1):
        for _ in range(times):
            self.app.feed()
            await self.pilot.pause()

    @property
    def lines(self):
        return self.app.picture("txt").splitlines()

    @property
    def text(self):
        return self.app.picture("txt")

    @property
    def pids(self):
        """The PIDs on the table, from top to bottom."""
        words = [line.replace("▌", " ").replace("•", " ").split() for line in self.lines[3:]]
        return [int(w[0]) for w in words if w and w[0].isdigit() and w[1:2] != ["×"]]

    @property
    def cursor(self):
        """The PID under the cursor."""
        line = next(line for line in self.lines if line.startswith("▌"))
        return int(line[1:].split()[0])


@pytest.fixture
def look():
    """`async with look(app, size) as screen`: run an app without a terminal."""

    @asynccontextmanager
    async def running(app, size=(120, 40)):
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            yield Looker(app, pilot)

    return running
