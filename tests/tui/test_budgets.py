"""What a tick costs, as counts: lines made, bytes written, rows read."""

import pytest
from textual._compositor import ChopsUpdate, LayoutUpdate

from memtop.probe.fake import crowd
from memtop.tui.app import MemtopApp
from memtop.tui.paint import NarrowUpdate, narrowed
from memtop.tui.widgets.table import ProcessTable


class Meter:
    """Counts what is sent to the terminal."""

    def __init__(self, app, monkeypatch):
        self.updates, self.bytes = [], 0
        real = MemtopApp._display

        def display(this, screen, update):
            if update is not None:
                made = narrowed(update)
                self.updates.append(type(made))
                if isinstance(made, (ChopsUpdate, LayoutUpdate)):
                    self.bytes += len(made.render_segments(this.console).encode())
            real(this, screen, update)

        monkeypatch.setattr(MemtopApp, "_display", display)

    def reset(self):
        self.updates, self.bytes = [], 0


async def after_a_while(app, screen, ticks=70):
    """Past the first minute, in which rates and ages still come."""
    await screen.tick(ticks)
    return app.screen.query_one(ProcessTable)


@pytest.mark.parametrize("count", [300, 4000])
async def test_a_calm_tick_makes_no_lines(look, monkeypatch, count):
    """When nothing moves no row is made anew, whatever the number of processes."""
    from tests_support import app_over

    app = app_over(crowd(count), ticks=70)
    meter = Meter(app, monkeypatch)
    async with look(app, (160, 48)) as screen:
        table = await after_a_while(app, screen, 3)
        made = []
        for _ in range(10):
            before = table.lines_made
            meter.reset()
            await screen.tick()
            made.append((table.lines_made - before, meter.bytes))
        lines = sorted(one for one, _ in made)
        assert lines[7] == 0  # a cell of the line may end in one or two of ten ticks
        assert sorted(b for _, b in made)[7] <= 1000


async def test_growing_rows_cost_a_few_bytes(look, monkeypatch):
    """With 200 processes growing, a tick is at most 8 kB, and never the whole screen."""
    from tests_support import app_over

    app = app_over(crowd(1000, changing=200), ticks=70)
    meter = Meter(app, monkeypatch)
    async with look(app, (160, 48)) as screen:
        await after_a_while(app, screen, 3)
        costs = []
        for _ in range(30):
            meter.reset()
            await screen.tick()
            costs.append(meter.bytes)
            assert set(meter.updates) <= {NarrowUpdate}
        assert sum(costs) / len(costs) <= 8000
        assert sorted(costs)[15] <= 4000


async def test_a_cursor_move_paints_two_rows(look, monkeypatch):
    """Down repaints the row that was left and the one that was reached."""
    from tests_support import app_over

    app = app_over(crowd(1000), ticks=70)
    meter = Meter(app, monkeypatch)
    async with look(app, (160, 48)) as screen:
        table = await after_a_while(app, screen, 3)
        before = table.lines_made
        meter.reset()
        await screen.press("down")
        assert table.lines_made - before == 2
        assert meter.bytes <= 2500


async def test_births_do_not_repaint_the_screen(look, monkeypatch):
    """A process that comes or goes out of sight causes no layout."""
    from tests_support import app_over

    source = crowd(1000)
    app = app_over(source, ticks=70)
    meter = Meter(app, monkeypatch)
    async with look(app, (160, 48)) as screen:
        await after_a_while(app, screen, 3)
        for pid in range(90_000, 90_020):
            meter.reset()
            source.spawn(pid, 1049, "worker", 10, age_s=100)
            await screen.tick()
            assert set(meter.updates) <= {NarrowUpdate}


async def test_growing_rows_are_read_out_of_sight(look):
    """The fastest growing are wanted, too, at most 32 of them, wherever the window is."""
    from tests_support import app_over

    source = crowd(1000, changing=100)
    app = app_over(source, ticks=30)
    async with look(app, (80, 24)) as screen:
        await screen.press("N", "end")
        await screen.tick(2)
        assert 32 <= len(source.wanted.pids) <= 32 + 22
        assert len(source.wanted.pids & set(range(100, 200))) == 32


async def test_only_what_is_seen_is_wanted(look):
    """The sampler is told to read the rows in the window and the selected one, and no others."""
    from tests_support import app_over

    source = crowd(1000)
    app = app_over(source, ticks=30)
    async with look(app, (80, 24)) as screen:
        await screen.tick(2)
        assert 15 <= len(source.wanted.pids) <= 22
        first = source.wanted.pids
        await screen.press("end")
        await screen.tick()
        assert source.wanted.pids.isdisjoint(first - {1})
