"""The screen in all its sizes, themes and states."""

import pytest

from memtop.model.filter import parse
from memtop.model.query import View
from memtop.render.escape import cells

SIZES = [(160, 48), (120, 40), (100, 30), (80, 24), (70, 20), (60, 12), (40, 10), (20, 5), (1, 1)]


# Each of them is drawn in every size; the first one matters where something is made once.
@pytest.mark.parametrize(
    "size",
    [
        pytest.param(size, marks=() if size in ((160, 48), (80, 24), (1, 1)) else pytest.mark.deep)
        for size in SIZES
    ],
)
async def test_every_size_is_drawn(app, look, size):
    """However small the terminal, lines fit it and nothing breaks, also while it is resized."""
    async with look(app, size) as screen:
        for key in ("down", "s", "escape", "slash", "x", "escape", "question_mark", "escape", "p"):
            await screen.press(key)
            assert all(cells(line) <= size[0] for line in screen.lines)
        await screen.tick(2)
        for other in SIZES:
            await screen.pilot.resize_terminal(*other)
            await screen.tick()
            assert len(screen.lines) <= other[1]
            assert all(cells(line) <= other[0] for line in screen.lines)


@pytest.mark.parametrize("size", SIZES[:-2])
async def test_memory_is_on_show_in_every_size(app, look, size):
    """RSS and growth never go."""
    async with look(app, size) as screen:
        heading = next(line for line in screen.lines if "PID" in line)
        assert "RSS" in heading
        assert "Δ" in heading


@pytest.mark.parametrize("theme", ["dark", "light", "ansi"])
async def test_themes(source, look, theme):
    """Each theme shows the same text; in ansi no colour but the terminal's sixteen is used."""
    from tests_support import app_over

    app = app_over(source, theme=theme)
    async with look(app) as screen:
        assert "mail-worker" in screen.text
        colors = {
            color
            for strip in app.screen._compositor.render_strips()
            for segment in strip
            if segment.style
            for color in (segment.style.color, segment.style.bgcolor)
            if color is not None
        }
        if theme == "ansi":
            assert all(color.is_default or color.number is not None for color in colors)
        else:
            assert any(color.triplet for color in colors)


async def test_no_color_means_none(source, look, monkeypatch):
    """Under NO_COLOR nothing is coloured, and growth still stands out by weight."""
    from tests_support import app_over

    monkeypatch.setenv("NO_COLOR", "1")
    app = app_over(source)
    async with look(app) as screen:
        segments = [s for strip in app.screen._compositor.render_strips() for s in strip if s.style]
        assert all(
            color is None or color.is_default
            for segment in segments
            for color in (segment.style.color, segment.style.bgcolor)
        )
        assert any(segment.style.bold for segment in segments)
        assert "▌" in screen.text


async def test_ascii(source, look):
    """With --ascii every character is one, and the signs have stand-ins."""
    from tests_support import app_over

    async with look(app_over(source, ascii_only=True)) as screen:
        assert screen.text.isascii()
        assert "|- " in screen.text or "`- " in screen.text
        assert "d MiB/min v" in screen.text
        await screen.press("question_mark")
        assert screen.text.isascii()
        await screen.press("escape", "s")
        assert "Sort by" in screen.text


async def test_births_and_deaths(source, app, look):
    """A new process appears below its parent, an ended one says so and goes after 30 s."""
    async with look(app) as screen:
        source.spawn(40, 10, "shop-worker", 70)
        await screen.tick(2)
        assert 40 in screen.pids
        assert "~  new" in next(line for line in screen.lines if "   40 " in line)
        source.end(30)
        await screen.tick(5)
        ended = next(line for line in screen.lines if "redis" in line)
        assert "×  ended 4 s" in ended
        await screen.tick(30)
        assert 30 not in screen.pids


async def test_the_cursor_keeps_its_process(source, app, look):
    """When rows come and go above it, the cursor stays on its process; if that goes, near it."""
    async with look(app) as screen:
        await screen.press("end")
        for pid in range(100, 110):
            source.spawn(pid, 10, "shop-worker", 70)
        await screen.tick(2)
        assert screen.cursor == 30
        source.end(30)
        await screen.tick(40)
        assert screen.cursor in screen.pids


async def test_hostile_text_is_visible_and_harmless(source, look):
    """Control characters, markup and directions of other people's names are shown as text."""
    from tests_support import app_over

    source.spawn(50, 1, "x", 30, age_s=90, command="[bold red]x[/] \x1b[31m \u202e \n \x9b end")
    app = app_over(source)
    async with look(app, (160, 48)) as screen:
        await screen.press("down")
        line = next(line for line in screen.lines if "[bold red]x[/]" in line)
        assert "\\x1b[31m" in line
        assert "\\u202e" in line
        assert all(c.isprintable() for line in screen.lines for c in line)


async def test_a_filter_from_the_command_line(source, look):
    """The screen opens with the filter that it was given."""
    from tests_support import app_over

    async with look(app_over(source, view=View(filter=parse("redis")))) as screen:
        assert screen.pids == [1, 30]
        assert "filter redis" in screen.lines[1]


async def test_no_processes_at_all(look):
    """An empty source is shown as empty."""
    from tests_support import app_over

    from memtop.probe.fake import FakeSource

    async with look(app_over(FakeSource(), ticks=1)) as screen:
        assert "Nothing to show" in screen.text
        await screen.press("down", "up", "space", "left", "end", "s", "escape", "F", "p", "r")
        assert "0 processes" in screen.text


async def test_rows_are_put_in_order_by_themselves(source, look, monkeypatch):
    """Every 5 s, with no key pressed for 2 s, the fastest growing comes up."""
    from tests_support import app_over

    clock = [1000.0]
    monkeypatch.setattr("memtop.tui.screens.main.monotonic", lambda: clock[0])
    app = app_over(source)
    async with look(app) as screen:

        def grow(source):
            source.processes[12].rss_kib += 3000

        source._before_sample = grow
        await screen.tick(40)
        assert screen.pids[1] == 20
        clock[0] += 4.9
        await screen.tick()
        assert screen.pids[1] == 20
        await screen.press("down")
        clock[0] += 1.0
        await screen.tick()
        assert screen.pids[1] == 20
        clock[0] += 1.5
        await screen.tick()
        assert screen.pids[1:3] == [10, 12]


async def test_every_printable_key_is_harmless(app, look):
    """No key, bound or not, by itself or twice, breaks the screen."""
    names = "at,exclamation_mark,dollar_sign,percent_sign,ampersand,tab,enter,f2,f3,f7,f8,f9,f12"
    async with look(app) as screen:
        for key in [*names.split(","), *"abcdefghijklmnorstuwxyzABCDEFGHIJKLMNOPRSTUVWXYZ0123"]:
            await screen.press(key)
            await screen.press("escape", "escape")
        assert "mail-worker" in screen.text


async def test_choosing_twice_is_choosing_once(app, look):
    """A second Enter, click or Esc on a list that is closing does nothing."""
    async with look(app) as screen:
        await screen.press("s")
        await screen.pilot.press("enter", "enter", "escape", "enter")
        await screen.pilot.pause()
        assert "mail-worker" in screen.text
        await screen.press("question_mark")
        await screen.pilot.press("escape", "escape", "f1", "escape")
        await screen.pilot.pause()
        assert screen.app.is_running


async def test_dear_columns_are_read_for_everybody_when_sorted_by(source, app, look):
    """Sorting or filtering by swap or peak asks the source for them, of all processes."""
    async with look(app) as screen:
        await screen.tick()
        assert not source.wanted.all_usage
        await screen.press("slash", *"peak>1m", "enter")
        await screen.tick()
        assert source.wanted.all_usage


async def test_the_mouse_selects(app, look):
    """A click puts the cursor on a row."""
    async with look(app) as screen:
        await screen.pilot.click("ProcessTable", offset=(10, 3))
        await screen.pilot.pause()
        assert screen.cursor == screen.pids[3]


async def test_a_sample_that_comes_before_the_table(app, look):
    """On a slow start the thread has a sample before there is anything to show it in."""
    main = app._main
    main.show_state(main._state)
    async with look(app) as screen:
        assert "mail-worker" in screen.text
