"""The detail pane: chart, facts, tabs, windows, and what it says when rights are missing."""

import pytest
from tests_support import app_over

from memtop.render.escape import cells


@pytest.mark.parametrize("size", [(160, 48), (120, 40), (100, 34), (80, 24), (40, 10)])
async def test_enter_opens_and_closes(app, look, size):
    """Enter opens the detail beside the table where there is room, else over it; Esc closes."""
    async with look(app, size) as screen:
        await screen.press("down", "down", "enter")
        assert "21 mail-worker" in screen.text
        assert ("PID PROCESS" in screen.text) is True
        assert ("redis…" in screen.text or "redis-server" in screen.text) == (size[1] >= 34)
        assert all(cells(line) <= size[0] for line in screen.lines)
        await screen.tick(3)
        await screen.press("escape")
        assert "redis" in screen.text or size == (40, 10)
        await screen.press("enter", "enter")
        assert "PID PROCESS" in screen.text


async def test_the_chart_shows_the_history(app, look):
    """The chart has a braille line over a grid of sizes, three times, and the slope above it."""
    async with look(app) as screen:
        await screen.press("down", "down", "enter")
        text = screen.text
        assert "+17.6 MiB/min over the last 39 s" in text
        assert any(0x2801 <= ord(character) <= 0x28FF for character in text)
        assert sum("┤" in line and "MiB" in line for line in screen.lines) >= 2
        assert "Rising, too young to tell from a leak: 17.6 MiB a minute" in text


async def test_facts_are_those_of_the_row(app, look):
    """RSS, threads, state and start stand beside the chart; unknown is a dash."""
    async with look(app) as screen:
        await screen.press("end", "enter")
        text = screen.text
        assert "30 redis-server" in text
        assert "RSS is 22 MiB and steady." in text
        assert "sleeping" in text
        assert "started" in text
        assert "open files  –" in text


async def test_the_window_of_the_chart(app, look):
    """] and [ lengthen and shorten the window, and stop at its ends."""
    async with look(app) as screen:
        await screen.press("enter")
        assert "window 10 m" in screen.text
        await screen.press("right_square_bracket")
        assert "window 2 h" in screen.text
        await screen.press("right_square_bracket", "right_square_bracket")
        assert "window 24 h" in screen.text
        await screen.press("left_square_bracket", "left_square_bracket", "left_square_bracket")
        assert "window 10 m" in screen.text


async def test_tabs(app, look):
    """Tab goes to anatomy, objects, cgroup, command line and environment, why, log, and round."""
    async with look(app) as screen:
        await screen.press("end", "enter", "tab")
        assert "Off: this is a recording" in screen.text and "memtop anatomy there" in screen.text
        await screen.press("tab")
        assert "memtop census there" in screen.text
        await screen.press("tab")
        assert "No memory cgroup to show" in screen.text
        await screen.press("tab")
        assert "redis-server *:6379" in screen.text
        assert "environment" in screen.text
        await screen.press("tab")
        assert "memtop diagnose there" in screen.text
        await screen.press("tab")
        assert "0 actions since" in screen.text
        await screen.press("tab")
        assert "window 10 m" in screen.text
        await screen.press("shift+tab", "shift+tab", "shift+tab")
        assert "environment" in screen.text


async def test_the_pane_follows_the_cursor(app, look):
    """Another row, another process in the pane."""
    async with look(app) as screen:
        await screen.press("enter", "end")
        assert "30 redis-server" in screen.text
        await screen.press("home")
        assert "1 init" in screen.text


async def test_an_ended_process_keeps_its_pane(source, app, look):
    """What ended says when, at which size and after how long."""
    async with look(app) as screen:
        await screen.press("end", "enter")
        source.end(30)
        await screen.tick(2)
        assert "Ended " in screen.text
        assert "at 22 MiB, after 7 m" in screen.text


async def test_a_group_shows_its_fastest_member(app, look):
    """On a group's heading the pane shows the member that grows most."""
    async with look(app) as screen:
        await screen.press("v", "home", "enter")
        assert "21 mail-worker" in screen.text


async def test_ascii_has_a_chart_too(source, look):
    """With --ascii the chart is drawn with dots."""
    async with look(app_over(source, ascii_only=True)) as screen:
        await screen.press("down", "down", "enter")
        assert screen.text.isascii()
        assert "MiB/min over the last 39 s" in screen.text


async def test_chart_costs_little(app, look):
    """Drawing the pane takes a few milliseconds a tick, not tens."""
    import time

    async with look(app, (160, 48)) as screen:
        await screen.press("down", "down", "enter")
        pane = app.screen.pane
        row, state = app.screen._selected(), app.screen._shown
        begin = time.process_time()
        for _ in range(10):
            pane.show_process(row, state, reading=False)
        assert (time.process_time() - begin) / 10 < 0.05  # five times what is measured
